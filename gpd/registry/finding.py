"""From what a person types to an artifact: an alias, an abbreviated hash, a name such as k8."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from gpd.artifacts import UserError
from gpd.documents import load_manifest
from gpd.registry.columns import clean_text
from gpd.registry.tables import Artifact, Location, Promotion

SHORT = 12  # hexadecimal digits of a hash as printed
FEWEST_DIGITS = 4
CHECKPOINT_KINDS = ("base", "student")


@dataclass(frozen=True)
class FoundCheckpoint:
    """A checkpoint whose files are here: `path` is the folder, `content` is from its manifest."""

    content: str
    name: str | None
    path: Path


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: what it may have meant, else what there is."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return (
        f"; there is {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else "; there are none yet"
    )


def find_artifact(
    *, key: str, session: Session, workspace: Path = Path(), kinds: tuple[str, ...] | None = None
) -> Artifact:
    """The artifact meant by an alias, an abbreviated hash (at least 4 digits) or a name, looked up in this order.

    Of several with one name, the one that lies in the workspace now is meant. `kinds` restricts the answer.

    Raises:
        UserError: nothing, or more than one, is meant.
    """
    key = clean_text(key)
    content = current_aliases(session=session).get(key)
    if content is not None:
        matches = list(session.exec(select(Artifact).where(Artifact.content == content)))
    else:
        matches = _with_prefix(key, session) or _with_name(key, session, workspace)
    if not matches:
        raise UserError(f"{key!r}: not an alias, hash or name in the registry{near(key, _words(session))}")
    allowed = [match for match in matches if kinds is None or match.kind in kinds]
    if not allowed:
        raise UserError(f"{key!r} is of kind {matches[0].kind}, not a checkpoint")
    if len(allowed) > 1:
        listed = ", ".join(f"{match.content[:SHORT]} ({match.name or match.kind})" for match in allowed[:5])
        raise UserError(f"{key!r} is ambiguous: {listed}{', ...' if len(allowed) > 5 else ''}")
    return allowed[0]


def _with_prefix(key: str, session: Session) -> list[Artifact]:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{FEWEST_DIGITS},64}}", key):
        return []
    low = key.lower()
    in_range = (Artifact.content >= low, Artifact.content < low + "g")  # a range, so that the key's index serves
    return list(session.exec(select(Artifact).where(*in_range).order_by(Artifact.content).limit(6)))


def _with_name(key: str, session: Session, workspace: Path) -> list[Artifact]:
    matches = list(session.exec(select(Artifact).where(Artifact.name == key).order_by(Artifact.content).limit(1000)))
    if len(matches) > 1:
        here = [match for match in matches if _path_here(match.content, session, workspace)]
        return here or matches
    return matches


def _words(session: Session) -> set[str]:
    names = session.exec(select(Artifact.name).where(col(Artifact.name).is_not(None)).distinct().limit(1000)).all()
    return {*current_aliases(session=session), *(name for name in names if name)}


def current_aliases(*, session: Session) -> dict[str, str]:
    """Every alias in use -> full hash of its checkpoint."""
    latest: dict[str, str | None] = {}
    for promotion in session.exec(select(Promotion).order_by(col(Promotion.made_at), col(Promotion.id))):
        latest[promotion.alias] = promotion.content
    return {alias: content for alias, content in sorted(latest.items()) if content is not None}


def locate(*, artifact: Artifact, session: Session, workspace: Path = Path()) -> FoundCheckpoint:
    """Where the files of an artifact are in this workspace.

    Raises:
        UserError: they are not here, with what is there instead and how to get them.
    """
    path = _path_here(artifact.content, session, workspace)
    if path is not None:
        return FoundCheckpoint(artifact.content, artifact.name, path)
    label = f"{artifact.content[:SHORT]} ({artifact.name or artifact.kind})"
    places = locations_of(artifact.content, session)
    if not places:
        raise UserError(f"{label}: known only by its hash; its files were never seen by `gpd registry sync`")
    place = places[0]
    there = content_at(workspace / place.path)
    instead = f"holds {there[:SHORT]} now" if there else "is not there"
    md5 = f" (DVC's hash: {place.dvc_md5})" if place.dvc_md5 else ""
    raise UserError(
        f"{label}: not in this workspace; {place.path} {instead}. `dvc pull {place.path}` brings what dvc.lock of the "
        f"checked-out commit names{md5}"
    )


def locations_of(content: str, session: Session) -> list[Location]:
    """Where the files of an artifact were seen."""
    return list(session.exec(select(Location).where(Location.content == content).order_by(Location.path)))


def _path_here(content: str, session: Session, workspace: Path) -> Path | None:
    paths = (workspace / place.path for place in locations_of(content, session))
    return next((path for path in paths if content_at(path) == content), None)


def content_at(folder: Path) -> str | None:
    """The content hash that the manifest of a folder states; None if it is missing or unusable."""
    try:
        return load_manifest(folder).content
    except (UserError, OSError):
        return None
