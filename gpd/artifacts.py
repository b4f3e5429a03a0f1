"""Folders that can be trusted: content hashes, manifests, whole-or-nothing writes, records of runs."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1  # of manifest.json and run records; raised when a reader of the old form would misread the new one
MANIFEST = "manifest.json"
WORK = Path(".work")  # untracked: resume states, run records


class UserError(Exception):
    """A mistake of the user's, told in one line that names key, file and value. Exit status 2, no traceback."""


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


def write_manifest(
    folder: Path,
    *,
    kind: str,
    inputs: dict[str, dict[str, Any]],
    params: dict[str, Any],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Describes a finished folder in its manifest.json and returns the manifest.

    Args:
        kind: base, student, prompts, latents, samples, report.
        inputs: name -> `reference` of each folder that went in.
        params: the settings that determined the content.
        facts: what a reader wants to know besides (counts, horizon, forwards spent, residuals).

    Nothing here may differ between two identical runs: no time, host, path of a machine or commit.
    """
    files = list_files(folder)
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "content": hash_files(files),
        "inputs": inputs,
        "params": params,
        "facts": facts,
        "files": files,
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def load_manifest(folder: Path, kind: str | None = None) -> dict[str, Any]:
    """The manifest of a folder.

    Raises:
        UserError: there is none, it is not JSON, of another kind, or of a newer format.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the DVC stage that writes {folder} has not finished") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise UserError(f"{path}: not a manifest (key 'format' is missing)")
    if manifest["format"] > FORMAT:
        raise UserError(f"{path}: format {manifest['format']} is newer than this gpd reads ({FORMAT}); update gpd")
    if kind is not None and manifest.get("kind") != kind:
        raise UserError(f"{path}: kind is {manifest.get('kind')!r}, expected {kind!r}")
    return manifest


def reference(folder: Path) -> dict[str, Any]:
    """How another manifest names this folder: its kind and content hash."""
    manifest = load_manifest(folder)
    return {"kind": manifest["kind"], "content": manifest["content"]}


def verify(folder: Path) -> list[str]:
    """What is wrong with a folder against its manifest: one line a file, empty when intact."""
    manifest = load_manifest(folder)
    found = list_files(folder)
    wrong = []
    for name in sorted(manifest["files"].keys() | found.keys()):
        if name not in found:
            wrong.append(f"{name}: missing")
        elif name not in manifest["files"]:
            wrong.append(f"{name}: not in the manifest")
        elif found[name]["sha256"] != manifest["files"][name]["sha256"]:
            wrong.append(f"{name}: content changed")
    return wrong


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


def git_state() -> dict[str, Any]:
    """Commit and dirtiness of the work tree; nulls outside a repository."""

    def git(*words: str) -> str | None:
        done = subprocess.run(["git", *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    with contextlib.suppress(FileNotFoundError):
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
        return {"commit": commit, "is_dirty": None if changes is None else bool(changes)}
    return {"commit": None, "is_dirty": None}


@contextlib.contextmanager
def recording_run(stage: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Keeps one execution in .work/runs/<id>.json, also when it fails.

    The block may add to the yielded record: `outputs` (list of {path, kind, content}), `forwards` (role -> number),
    `device`, `device_seconds`. `GPD_FLOW_RUN_ID` in the environment names the Prefect flow run, if there is one.
    """
    started = time.time()
    record: dict[str, Any] = {
        "format": FORMAT,
        "id": uuid.uuid4().hex,
        "stage": stage,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "params_hash": hash_json(params),
        "git": git_state(),
        "host": platform.node(),
        "device": "cpu",
        "flow_run_id": os.environ.get("GPD_FLOW_RUN_ID"),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
        "outputs": [],
        "forwards": {},
        "device_seconds": None,
        "exit_code": 0,
        "error": None,
    }
    try:
        yield record
    except BaseException as error:
        record["exit_code"] = 2 if isinstance(error, UserError) else 130 if isinstance(error, KeyboardInterrupt) else 1
        record["error"] = f"{type(error).__name__}: {error}".split("\n")[0]
        raise
    finally:
        record["ended"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        with contextlib.suppress(OSError):  # a full disk must not hide the error that filled it
            write_json(WORK / "runs" / f"{record['id']}.json", record)
