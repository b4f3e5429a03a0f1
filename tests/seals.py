"""Damage: flipped bits, and documents that somebody has edited who knows of seals."""

import json
import os
from collections.abc import Callable, Iterator
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


def flips(content: bytes) -> Iterator[bytes]:
    """One bit of each byte in turn."""
    for place, byte in enumerate(content):
        yield content[:place] + bytes([byte ^ (1 << place % 8)]) + content[place + 1 :]


def flip(path: Path, share: float = 0.5) -> None:
    """Flips one bit at a share of a file's length and puts its time stamp back, as a disk that rots."""
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 16
    path.unlink()  # it may be linked to a fixture's
    path.write_bytes(content)
    os.utime(path, ns=times)
