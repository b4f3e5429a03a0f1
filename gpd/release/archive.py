"""A student as one file for others who use gpd: its folder as it is, so that its content hash stays what it was.

    student/manifest.json              first: what every other file of the folder must hash to
    student/..                         the files that it names
    README.md                          the card
    evaluations/NAME/evaluation.json   what was measured of it, for the registry
    evaluations/NAME/clips/..          some clips of it, for pages

A plain tar, as weights do not get smaller. Equal students have equal bytes: no time, owner or mode of a machine.
"""

import io
import os
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import MANIFEST, DamagedError, replace_file
from gpd.documents import Evaluation, StudentFacts
from gpd.registry import find_checkpoint
from gpd.registry.documents import FETCHED_EVALUATIONS
from gpd.release.card import render_card
from gpd.release.records import describe_recorded
from gpd.release.workspace import EVALUATIONS

STUDENT = "student"
CARD = "README.md"


@dataclass(frozen=True)
class Packed:
    """An archive that was written."""

    content: str
    path: Path
    size_bytes: int


def pack(*, session: Any, key: str, to: Path) -> Packed:
    """Writes NAME-HASH.tar of a student to the folder `to`.

    Args:
        key: an alias, `best:6`, a hash or a name.

    Raises:
        UserError: it is no student, or its files are not here.
        DamagedError: they are not what its manifest says.
    """
    folder = find_checkpoint(key, session=session).path
    manifest = documents.load_manifest(folder, StudentFacts)
    if wrong := documents.verify(folder):
        raise DamagedError(f"{folder}: {wrong[0]}; nothing was packed")
    card = render_card(replace(describe_recorded(session=session, key=manifest.content), place=STUDENT))
    to.mkdir(parents=True, exist_ok=True)
    path = to / f"{name_of(manifest)}.tar"
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _write(partial, folder, [MANIFEST, *manifest.files], card, _evaluations_of(manifest.content))
        replace_file(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return Packed(manifest.content, path, path.stat().st_size)


def name_of(manifest: documents.Manifest[StudentFacts]) -> str:
    """Of the archive, and of the folder in which it arrives."""
    return f"{manifest.facts.stage}-{manifest.content[:12]}"


def _write(path: Path, folder: Path, names: list[str], card: str, evaluations: dict[str, Path]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            _add(archive, f"{STUDENT}/{name}", folder / name)
        text = card.encode()
        archive.addfile(_entry(CARD, len(text)), io.BytesIO(text))
        for name, path in evaluations.items():
            _add(archive, name, path)


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with open(path, "rb") as file:
        archive.addfile(_entry(name, path.stat().st_size), file)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)  # with the time 0, no owner, mode 644
    entry.size = size
    return entry


def _evaluations_of(content: str) -> dict[str, Path]:
    """The files of those that are of this checkpoint alone, ours before fetched ones, by their names in the archive."""
    found: dict[str, Path] = {}
    for path in [*sorted(Path().glob(FETCHED_EVALUATIONS)), *sorted(EVALUATIONS.glob("*/evaluation.json"))]:
        evaluation = documents.load_document(Evaluation, path, f"run `gpd evaluate {path.parent.name}` again")
        if {subject.checkpoint for subject in evaluation.subjects.values()} == {content}:
            files = [path, *sorted(path.parent.glob("clips/*.*"))]
            found |= {
                f"evaluations/{path.parent.name}/{file.relative_to(path.parent).as_posix()}": file for file in files
            }
    return found
