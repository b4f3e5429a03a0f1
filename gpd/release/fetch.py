"""`gpd registry fetch`: takes a student that somebody published. Nothing of it is used before every byte is checked."""

import contextlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from gpd import documents
from gpd.artifacts import MANIFEST, DamagedError, UserError, replacing
from gpd.documents import Evaluation, Manifest, StudentFacts
from gpd.documents.inside import path_inside
from gpd.progress import progress_bar
from gpd.registry import SyncResult, find_checkpoint, open_registry, sync
from gpd.registry.documents import FETCHED
from gpd.registry.secrets import mask_passwords
from gpd.release.archive import CARD, STUDENT, name_of

SCHEMES = ("http://", "https://", "file://")
LARGEST_DOCUMENT = 16 * 2**20  # bytes
BESIDE = (CARD, "evaluations/*/evaluation.json", "evaluations/*/clips/*.json", "evaluations/*/clips/*.mp4")
STILL_SECONDS = 60
Entry = tuple[str, int, IO[bytes]]  # name, size in bytes, what it holds


@dataclass(frozen=True)
class Fetched:
    """A student that arrived. `is_new` is false if it was here, whole."""

    content: str
    name: str
    path: Path
    is_new: bool
    synced: SyncResult


def fetch(source: str, *, content: str | None = None, url: str | None = None) -> Fetched:
    """Takes a student into data/fetched/NAME-HASH/ and records it.

    Args:
        source: an archive of `gpd registry pack` (a path, file://, http:// or https://), a student's folder, or what
            the registry finds in DVC's cache or remotes.
        content: how its hash must begin.
        url: of the registry.

    Raises:
        UserError: it cannot be read, is no student or another than `content` says.
        DamagedError: a file is not what its manifest says.
    """
    with _reading(source), _open(source, url) as entries:
        first = next(entries, None)
        manifest, raw = _read_manifest(first, source, content)
        folder = FETCHED / name_of(manifest)
        is_new = not _is_whole(folder / STUDENT)
        if is_new:
            with replacing(folder) as partial:
                _write(raw, partial / STUDENT / MANIFEST)
                _receive(entries, manifest, partial, source)
    return Fetched(manifest.content, manifest.facts.stage, folder / STUDENT, is_new, sync(url=url))


# --- where it comes from


@contextlib.contextmanager
def _reading(source: str) -> Iterator[None]:
    """One line for whatever a server, a network or an archive may do wrong."""
    try:
        yield
    except (URLError, HTTPException, ConnectionError, TimeoutError, tarfile.TarError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise UserError(f"fetch {mask_passwords(source)}: {' '.join(str(reason).split())}") from None


@contextlib.contextmanager
def _open(source: str, url: str | None) -> Iterator[Iterator[Entry]]:
    path = Path(source)
    if source.startswith(SCHEMES):
        with urlopen(source, timeout=STILL_SECONDS) as stream:
            yield _of_archive(stream)
    elif path.is_file():
        with open(path, "rb") as stream:
            yield _of_archive(stream)
    else:
        yield _of_folder(path if path.is_dir() else _in_registry(source, url))


def _in_registry(source: str, url: str | None) -> Path:
    try:
        with open_registry(url) as session:
            return find_checkpoint(source, session=session).path
    except UserError as error:
        raise UserError(f"fetch {source}: no such file or folder, and {error}") from None


def _of_archive(stream: IO[bytes]) -> Iterator[Entry]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isreg() else None
            if file is None:
                raise UserError(f"fetch: {entry.name!r:.80} in the archive is no file")
            yield entry.name, entry.size, file


def _of_folder(folder: Path) -> Iterator[Entry]:
    """A student's own folder, or an archive that was unpacked."""
    folder = folder / STUDENT if (folder / STUDENT / MANIFEST).is_file() else folder
    for name in (MANIFEST, *documents.load_manifest(folder, StudentFacts).files):
        with open(path_inside(folder, name), "rb") as file:
            yield f"{STUDENT}/{name}", os.fstat(file.fileno()).st_size, file


# --- what is let in


def _read_manifest(first: Entry | None, source: str, content: str | None) -> tuple[Manifest[StudentFacts], bytes]:
    name, size, file = first or ("nothing", 0, None)
    if name != f"{STUDENT}/{MANIFEST}" or size > LARGEST_DOCUMENT or file is None:
        raise UserError(f"fetch {mask_passwords(source)}: no archive of `gpd registry pack` (begins with {name!r:.80})")
    raw = file.read()
    with tempfile.TemporaryDirectory() as folder:
        _write(raw, Path(folder, MANIFEST))
        manifest = documents.load_manifest(Path(folder), StudentFacts)
    if content is not None and not manifest.content.startswith(content.lower()):
        raise UserError(f"fetch {mask_passwords(source)}: holds {manifest.content}, --content asks for {content}")
    return manifest, raw


def _write(raw: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def _is_whole(folder: Path) -> bool:
    try:
        return not documents.verify(folder)
    except (UserError, OSError):
        return False


def _receive(entries: Iterator[Entry], manifest: Manifest[StudentFacts], folder: Path, source: str) -> None:
    needed, free = sum(file.size for file in manifest.files.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"fetch {mask_passwords(source)}: {needed / 1e9:.3f} GB, and {free / 1e9:.3f} GB are free")
    with progress_bar("fetch", len(manifest.files)) as advance:
        for number, (name, size, file) in enumerate(entries, 1):
            _take(name, size, file, manifest, folder)
            advance(min(number, len(manifest.files)), "files")
    if wrong := documents.verify(folder / STUDENT):
        raise DamagedError(f"fetch {mask_passwords(source)}: {wrong[0]}; nothing was kept")
    for path in folder.glob("evaluations/*/evaluation.json"):
        _check_evaluation(path, manifest.content)
    for path in folder.glob("evaluations/*/clips"):
        if wrong := documents.verify(path):
            raise DamagedError(f"fetch {mask_passwords(source)}: {wrong[0]}; nothing was kept")


def _take(name: str, size: int, file: IO[bytes], manifest: Manifest[StudentFacts], folder: Path) -> None:
    """Writes a file, if it is one that an archive may hold, once and in its size."""
    path = path_inside(folder, name)
    known = manifest.files.get(name.removeprefix(f"{STUDENT}/")) if name.startswith(f"{STUDENT}/") else None
    is_beside = any(Path(name).match(form) and name.count("/") == form.count("/") for form in BESIDE)
    is_wanted = size == known.size if known else is_beside and size <= LARGEST_DOCUMENT
    if not is_wanted or path.exists():
        raise UserError(f"fetch: {name!r:.80} of {size} bytes does not belong to {name_of(manifest)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as target:
        shutil.copyfileobj(file, target, 2**20)


def _check_evaluation(path: Path, content: str) -> None:
    """Figures that come with a student are of no other."""
    evaluation = documents.load_document(Evaluation, path, "the archive is not whole")
    if {subject.checkpoint for subject in evaluation.subjects.values()} != {content}:
        raise UserError(f"fetch: {path.parent.name}/{path.name} has figures of another checkpoint than {content[:12]}")
