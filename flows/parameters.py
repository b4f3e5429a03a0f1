"""The parameters that flows share, each with its limits and its description in the form of Prefect's pages.

Descriptions go into the JSON schema directly: Prefect replaces `Field(description=..)` by the docstring's text.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from gpd.artifacts import UserError

NOT_IN_NAMES = {"Cc", "Cs", "Zl", "Zp"}  # control characters, half pairs, ends of lines and paragraphs


def described(text: str, **limits: Any) -> Any:
    """What a form shows for a parameter, and the limits of its values."""
    return Field(json_schema_extra={"description": text}, **limits)


Commit = Annotated[
    str,
    described(
        "Commit, branch or tag of this repository to run; changes that are not committed are not seen.", min_length=1
    ),
]
Overrides = Annotated[
    dict[str, Any] | None,
    described('Values for params.yaml by dotted keys, such as {"distill.stages.k8.learning_rate": 0.0001}.'),
]
Retries = Annotated[
    int, described("How often a failed stage is tried again; a mistake in the params is not.", ge=0, le=10)
]
AtOnce = Annotated[
    int,
    described(
        "How many stages go at the same time, such as an evaluation beside the next distillation. More than 1 if "
        "each has a GPU of its own: on the same cores two slow each other down more than they save.",
        ge=1,
        le=64,
    ),
]


def check_commit(commit: str) -> None:
    """Refuses what git could take for something else than the name of a commit.

    Raises:
        UserError: it begins with a dash, or holds a control character.
    """
    _check_text("commit", commit)


def check_overrides(overrides: Mapping[str, Any]) -> None:
    """Refuses keys and texts, at any depth, that a command could take for an option or for several lines.

    Raises:
        UserError: naming the first.
    """
    for key, value in overrides.items():
        _check_text(f"overrides: the key {key!r:.60}", str(key))
        for text in _texts(value):
            _check_text(f"overrides: {key}", text)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _check_text(what: str, text: str) -> None:
    if text.startswith("-") or any(unicodedata.category(character) in NOT_IN_NAMES for character in text):
        raise UserError(f"{what}={text!r:.80}: it must not begin with a dash or hold control characters")
