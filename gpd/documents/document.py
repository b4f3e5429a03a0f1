"""What all documents are: JSON objects of known keys, whose mistakes are named by file, key and value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gpd.artifacts import UserError, damaged, hash_json, write_json
from gpd.documents.reading import parse_json, show_key, show_value

FORMAT = 1  # raised when a reader of the old form would misread the new one
SEAL = "seal"  # key of a document: the digest of all its others


class Document(BaseModel):
    """A JSON value of known keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def write_document(path: Path, document: Document) -> None:
    """Writes a document whole, with a seal by which `load_json` sees that nothing in it was changed."""
    values = document.model_dump(mode="json")
    write_json(path, {**values, SEAL: hash_json(values)})


def dump(documents: Mapping[str, Document]) -> dict[str, Any]:
    """Plain JSON values of several documents by name."""
    return {name: document.model_dump(mode="json") for name, document in documents.items()}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted keys: {"a": {"b": 6}} -> {"a.b": 6}. An empty mapping stays a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


D = TypeVar("D", bound=Document)


def load_document(kind: type[D], path: Path, advice: str) -> D:
    """A document of a known type.

    Args:
        advice: what makes the file, for the message if it is missing or unusable.

    Raises:
        UserError: the file is missing, not JSON, of a newer format or of another form; it names file, key and value.
    """
    return parse(kind, load_json(path, advice), path)


def load_json(path: Path, advice: str) -> dict[str, Any]:
    """A JSON object with a format that this version reads, without its seal. Those of earlier versions have none.

    Raises:
        UserError: it is none.
        DamagedError: it is not what was sealed.
    """
    try:
        raw = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {advice}") from None
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error}); {advice}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("format"), int):
        raise UserError(f"{path}: not a document of gpd (key 'format' is missing)")
    if raw["format"] > FORMAT:
        raise UserError(f"{path}: format {raw['format']} is newer than this gpd reads ({FORMAT}); update gpd")
    return _unsealed(raw, path)


def _unsealed(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    values = {key: value for key, value in raw.items() if key != SEAL}
    try:
        found = hash_json(values)
    except ValueError:  # half of a surrogate pair, which is no text
        found = "none"
    if raw.get(SEAL, found) != found:
        raise damaged(path, found, show_value(raw[SEAL], 70))
    return values


def parse(kind: type[D], raw: dict[str, Any], path: Path) -> D:
    """A checked document.

    Raises:
        UserError: naming file, key and value of the first mistake.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{path}: {first_mistake(error)}") from None


def first_mistake(error: ValidationError) -> str:
    """Key, value and reason, in one line."""
    mistake = error.errors()[0]
    return f"{show_key(mistake['loc'])}={show_value(mistake['input'], 80)}: {mistake['msg']}"
