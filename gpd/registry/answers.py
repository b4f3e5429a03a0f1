"""Answers: dataclasses filled by the names of their fields."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")
JSON_ONLY: Mapping[str, bool] = {"json_only": True}  # metadata of a field that a table for the terminal leaves out


def make_answer(kind: type[T], /, *sources: Any, **values: Any) -> T:
    """A `kind` with these values; every other field is from the first of the sources that has it, None if none does."""
    for name in (field.name for field in fields(kind)):  # type: ignore[arg-type]  # a dataclass
        if name not in values:
            values[name] = next((getattr(source, name) for source in sources if hasattr(source, name)), None)
    return kind(**values)


def shown_fields(answer: Any) -> dict[str, Any]:
    """The fields of a dataclass or a dict that a person wants to see."""
    if isinstance(answer, dict):
        return answer
    return {field.name: getattr(answer, field.name) for field in fields(answer) if not field.metadata.get("json_only")}
