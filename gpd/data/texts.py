"""Which texts are taken, and how they are named."""

import hashlib
import unicodedata
from collections.abc import Iterable

from gpd.data.lines import Line, refuse, shorten

MAX_CHARACTERS = 2000  # far beyond the 512 tokens of Wan in any script


def text_id(text: str) -> str:
    """How shards and evaluations name a text."""
    return f"p-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check_texts(lines: Iterable[Line], *, allow_repeats: bool = False) -> None:
    """Raises a UserError with a line for each text that is empty, too long, repeated or has control characters."""
    first: dict[str, str] = {}
    mistakes = []
    for where, text in lines:
        reason = _reason_against(text)
        if reason is None and text in first and not allow_repeats:
            reason = f"the same prompt as at {first[text]}: {shorten(text)}"
        if reason is not None:
            mistakes.append(f"{where}: {reason}")
        first.setdefault(text, where)
    refuse(mistakes)


def _reason_against(text: str) -> str | None:
    if not text:
        return "empty"
    if len(text) > MAX_CHARACTERS:
        return f"{len(text)} characters, at most {MAX_CHARACTERS}: {shorten(text)}"
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs"):
            return f"control character U+{ord(character):04X} in {shorten(text)}"
    return None
