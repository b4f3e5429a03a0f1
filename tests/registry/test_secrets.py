"""What is hidden of addresses in a text, and what is not."""

import pytest

from gpd.registry.secrets import is_broken_url, mask_passwords, only_scheme


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "gpd registry sync --url postgresql://me:secret@there/db and https://you:other@there",
            "gpd registry sync --url postgresql://me:***@there/db and https://you:***@there",
        ),
        ("postgresql://me:se/cr@et@there/db", "postgresql://me:***@there/db"),
        ("postgresql://me@corp:secret@there/db", "postgresql://me@corp:***@there/db"),
        ("pg://there/db?user=me&password=secret&port=1", "pg://there/db?user=me&password=***&port=1"),
        (
            "pg://there/db?SSLPassword=a pg://there/db?api_key=b",
            "pg://there/db?SSLPassword=*** pg://there/db?api_key=***",
        ),
        ("pg://there/db?%70assword=secret", "pg://there/db?%70assword=***"),
        ("sqlite:///a/b@c no:thing@here", "sqlite:///a/b@c no:thing@here"),
        ("https://there/page?monday=1", "https://there/page?monday=1"),
    ],
)
def test_mask_passwords_in_any_text(text: str, expected: str) -> None:
    assert mask_passwords(text) == expected
    assert mask_passwords(expected) == expected


def test_a_url_that_is_not_understood_leaves_its_scheme() -> None:
    assert only_scheme("postgresql://me:secret@there:port/db") == "postgresql://..."
    assert only_scheme("me:secret@postgresql://there") == "..."


@pytest.mark.parametrize("path", ["registry.db", "/a/b@c/registry.db", ":memory:", "a b.db", "file:a.db"])
def test_paths_of_files_are_no_broken_urls(path: str) -> None:
    assert not is_broken_url(path)
