"""Rows of answers: dataclasses filled from rows of the tables by the names of their fields."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")
JSON_ONLY: Mapping[str, bool] = {"json_only": True}  # metadata of a field that a table for the terminal leaves out


def make_row(kind: type[T], /, *sources: Any, **values: Any) -> T:
    """A `kind` with these values; every other field is taken from the first of the sources that has it."""
    for field in fields(kind):  # type: ignore[arg-type]  # a dataclass
        if field.name not in values:
            values[field.name] = next(getattr(source, field.name) for source in sources if hasattr(source, field.name))
    return kind(**values)


def shown_fields(row: Any) -> dict[str, Any]:
    """The fields of a dataclass or a dict that a person wants to see."""
    if isinstance(row, dict):
        return row
    return {field.name: getattr(row, field.name) for field in fields(row) if not field.metadata.get("json_only")}
