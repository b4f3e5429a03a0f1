"""Documents that somebody has edited who knows of seals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpd.artifacts import hash_json, write_json


def write_sealed(path: Path, values: dict[str, Any]) -> None:
    """Writes a document whose seal fits what it says now; a hard link to another folder's file is left alone."""
    rest = {key: value for key, value in values.items() if key != "seal"}
    path.unlink(missing_ok=True)
    write_json(path, {**rest, "seal": hash_json(rest)})


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Changes the text of a document and seals it again."""
    write_sealed(path, json.loads(change(path.read_text())))
