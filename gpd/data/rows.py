"""Rows of data/prompts/prompts.jsonl and clips.jsonl, which `prepare` writes and others read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.documents import Document, check_files, first_mistake
from gpd.documents.reading import parse_json

PROMPTS = Path("data/prompts")
PROMPT_ROWS, CLIP_ROWS = "prompts.jsonl", "clips.jsonl"


class Prompt(Document):
    """A text to embed. Its split is "train" or "evaluation"; of texts that are no prompts "caption" or "negative"."""

    id: str  # `gpd.data.texts.text_id`
    text: str
    split: str


class Clip(Document):
    """A clip of the source folder. Its split is "train" or "evaluation"."""

    id: str
    file: str  # below the source folder
    sha256: str
    caption: str
    text: str  # the caption's id
    split: str


R = TypeVar("R", bound=Document)


def save_rows(path: Path, rows: Iterable[Document]) -> None:
    """One JSON object a line."""
    lines = (json.dumps(row.model_dump(), ensure_ascii=False) for row in rows)
    artifacts.write_text(path, "".join(f"{line}\n" for line in lines))


def load_rows(path: Path, kind: type[R]) -> list[R]:
    """Rows as they were saved.

    Raises:
        UserError: the file is not what the manifest beside it says, or a line is no such row.
    """
    check_files(path.parent, path.name)
    # split at line feeds alone: a prompt may contain other line separators
    lines = path.read_text(encoding="utf-8").split("\n")
    return [_row(kind, line, f"{path}: line {number}") for number, line in enumerate(lines, start=1) if line]


def _row(kind: type[R], line: str, place: str) -> R:
    try:
        return kind.model_validate(parse_json(line))
    except ValidationError as error:
        raise UserError(f"{place}: {first_mistake(error)}") from None
    except ValueError as error:
        raise UserError(f"{place}: not readable as JSON ({error})") from None
