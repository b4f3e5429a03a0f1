import pytest

from gpd.data import prepare
from tests.data.sources import error_of, params_of, read, write_source

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_ids_are_hashes_of_the_text() -> None:
    write_source("hello\nworld\n")
    prepare.run(params_of(1))
    # sha256("hello") = 2cf24dba5fb0a30e..
    assert "p-2cf24dba5fb0a30e" in {row["id"] for row in read("prompts.jsonl")}


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ("one\n\ntwo\n", "source/prompts.txt:2: empty"),
        ("one\n   \ntwo\n", "source/prompts.txt:2: empty"),
        ("one\ntwo\none \n", "source/prompts.txt:3: the same prompt as at source/prompts.txt:1: 'one'"),
        ("one\nt\x07wo\n", "source/prompts.txt:2: control character U+0007 in 't\\x07wo'"),
        ("one\ntab\there\n", "source/prompts.txt:2: control character U+0009 in 'tab\\there'"),
        ("one\n" + "x" * 2001, "source/prompts.txt:2: 2001 characters, at most 2000: 'xxx"),
        ("", "source/prompts.txt: holds no prompt"),
    ],
)
def test_bad_prompts_are_named(prompts: str, expected: str) -> None:
    write_source(prompts)
    message = error_of()
    assert message.startswith(expected)
    assert "\n" not in message


def test_a_prompt_of_2000_characters_is_taken() -> None:
    write_source("x" * 2000 + "\ntwo\n")
    prepare.run(params_of(1))
