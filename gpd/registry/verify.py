"""Whether the files behind the registry's hashes are still what they were."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlmodel import Session, select

from gpd import documents
from gpd.artifacts import UserError, hash_files, list_files
from gpd.registry.finding import SHORT, content_at, find_artifact
from gpd.registry.tables import Location


@dataclass(frozen=True)
class Verified:
    """One location: intact, damaged (with a line a file), replaced by other content, or absent from this workspace."""

    content: str
    path: str
    state: Literal["intact", "damaged", "replaced", "absent"]
    wrong: list[str] = field(default_factory=list)


def verify(*, session: Session, key: str | None = None, workspace: Path = Path()) -> Iterator[Verified]:
    """Reads and hashes the files at every known location (of one artifact, or of all), one location at a time."""
    statement = select(Location).order_by(Location.path, Location.content)
    if key is not None:
        statement = statement.where(Location.content == find_artifact(key=key, session=session).content)
    for location in session.exec(statement):
        yield _verify(location.content, location.path, workspace)


def _verify(content: str, path: str, workspace: Path) -> Verified:
    folder = workspace / path
    if not folder.is_dir():
        return Verified(content, path, "absent")
    stated = content_at(folder)
    if stated is not None and stated != content:
        return Verified(content, path, "replaced", [f"{path} holds {stated[:SHORT]} now"])
    if hash_files(list_files(folder)) == content:
        return Verified(content, path, "intact")
    return Verified(content, path, "damaged", _differences(folder, path))


def _differences(folder: Path, path: str) -> list[str]:
    try:
        wrong = documents.verify(folder)
    except (UserError, OSError) as error:
        return [f"{path}: {error}"]
    return [f"{path}/{line}" for line in wrong] or [f"{path}: files and manifest were changed together"]
