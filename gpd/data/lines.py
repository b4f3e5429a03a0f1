"""Lines of text files, each with the place where it stands, so that a mistake can be found."""

import json
from collections.abc import Iterable
from pathlib import Path

from gpd.artifacts import UserError
from gpd.documents.reading import parse_json

MAX_SHOWN = 10  # mistakes shown at once

Line = tuple[str, str]  # where it stands ("prompts.txt:12"), the text


def read_text_lines(path: Path) -> list[Line]:
    """Lines of a UTF-8 file without the space around them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}") from None
    # split at line feeds alone: str.splitlines would also split a prompt at U+2028 and other separators
    lines = text.removesuffix("\n").split("\n") if text else []
    return [(f"{path}:{number}", line.strip(" \t\r")) for number, line in enumerate(lines, 1)]


def read_rows(
    path: Path, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> list[tuple[str, dict[str, str]]]:
    """Objects of a JSONL file, each with the place where it stands; blank lines are passed over.

    Raises:
        UserError: a line is not an object of strings with exactly these keys.
    """
    mistakes, rows = [], []
    for where, line in read_text_lines(path):
        if line:
            try:
                rows.append((where, _parse_row(line, required, optional)))
            except ValueError as error:
                mistakes.append(f"{where}: {error}")
    refuse(mistakes)
    return rows


def _parse_row(line: str, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, str]:
    try:
        row = parse_json(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at character {error.pos + 1})") from None
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, found {shorten(line)}")
    for key in required:
        if key not in row:
            raise ValueError(f"key {key!r} is missing")
    for key, value in row.items():
        if key not in (*required, *optional):
            raise ValueError(f"unknown key {key!r}; known are {', '.join((*required, *optional))}")
        if not isinstance(value, str):
            raise ValueError(f"{key}={shorten(json.dumps(value))} is not a text")
    return row


def refuse(mistakes: Iterable[str]) -> None:
    """Raises a UserError with one line for each mistake, the first few of them."""
    lines = list(mistakes)
    if len(lines) > MAX_SHOWN:
        lines = [*lines[:MAX_SHOWN], f"and {len(lines) - MAX_SHOWN} more like these"]
    if lines:
        raise UserError("\n".join(lines))


def shorten(text: str) -> str:
    """A text that may be long or contain control characters, for a message of one line."""
    quoted = repr(text)
    return quoted if len(quoted) <= 80 else f"{quoted[:77]}..."
