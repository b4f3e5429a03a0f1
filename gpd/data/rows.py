"""Rows of data/prompts/prompts.jsonl and clips.jsonl, which `prepare` writes and others read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from gpd import artifacts
from gpd.documents import Document

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
    """Rows as they were saved."""
    # split at line feeds alone: a prompt may contain other line separators
    lines = path.read_text(encoding="utf-8").split("\n")
    return [kind.model_validate(json.loads(line)) for line in lines if line]
