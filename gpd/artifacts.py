"""Files and folders that can be trusted: content hashes, whole-or-nothing writes."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
WORK = Path(".work")  # untracked: resume states, run records


class UserError(Exception):
    """A mistake of the user's, in one line that names key, file and value. Exit status 2, no traceback."""


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """SHA-256 of a JSON value; equal values have equal hashes whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Every file below `folder` but the manifest: relative path -> {sha256, size in bytes}."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {
        path.relative_to(folder).as_posix(): {"sha256": hash_file(path), "size": path.stat().st_size} for path in paths
    }


def hash_files(files: dict[str, dict[str, Any]]) -> str:
    """The content hash of a folder: of the names and hashes of its files."""
    return hash_json({name: entry["sha256"] for name, entry in files.items()})


def write_text(path: Path, text: str) -> None:
    """Writes a file whole: a reader sees the old bytes or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from None  # a full disk names no file
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Indented JSON with a final newline, written whole. Not-a-number is an error, not a token."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `folder` when the block ends well, else it is removed.

    The old folder stays as it was until the new one is complete.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        move_into_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def move_into_place(finished: Path, folder: Path) -> None:
    """Renames a finished folder to `folder`, replacing what is there. Both lie on one file system."""
    if folder.exists():
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        os.replace(folder, old)
        os.replace(finished, folder)
        shutil.rmtree(old)
    else:
        os.replace(finished, folder)
