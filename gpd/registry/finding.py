"""From what a person types to an artifact: an alias, an abbreviated hash, a name such as k8."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, and_
from sqlmodel import Session, col, select

from gpd.artifacts import NotFoundError, UserError
from gpd.documents import load_manifest
from gpd.registry.columns import clean_text
from gpd.registry.documents import FETCHED
from gpd.registry.tables import Artifact, Location, Promotion, Remark

SHORT = 12  # hexadecimal digits of a hash as printed
FEWEST_DIGITS = 4
CHECKPOINT_KINDS = ("base", "student")


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: what it may have meant, else what there is."""
    names = sorted(set(known))
    return similar(word, names) or (f"; there is {listed(names, 10)}" if names else "; there are none yet")


def similar(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: what it may have meant, if anything."""
    close = difflib.get_close_matches(word, sorted(set(known)), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def listed(words: list[str], most: int = 5) -> str:
    """The first of some words, for a message."""
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def begins_with(column: Any, digits: str) -> ColumnElement[bool]:
    """Whether a column of hashes begins so: as a range, so that its index serves."""
    low = digits.lower()
    return and_(col(column) >= low, col(column) < low + "g")


def find_artifact(
    *, key: str, session: Session, workspace: Path = Path(), kinds: tuple[str, ...] | None = None
) -> Artifact:
    """The artifact meant by an alias, an abbreviated hash (at least 4 digits) or a name, looked up in this order.

    Of several with one name, the one that lies in the workspace now is meant, one made here before one fetched.
    `kinds` restricts the answer.

    Raises:
        NotFoundError: nothing is meant.
        UserError: more than one is meant.
    """
    key = clean_text(key)
    matches = _matches(key, session, workspace)
    if not matches:
        raise NotFoundError(f"{key!r}: not an alias, hash or name in the registry{near(key, _words(session))}")
    allowed = [match for match in matches if kinds is None or match.kind in kinds]
    if not allowed:
        raise UserError(f"{key!r} is of kind {matches[0].kind}, not a checkpoint")
    if len(allowed) > 1:
        raise UserError(f"{key!r} is ambiguous: {listed([label(match) for match in allowed])}")
    return allowed[0]


def _matches(key: str, session: Session, workspace: Path) -> list[Artifact]:
    in_order = select(Artifact).order_by(Artifact.content)
    content = current_aliases(session=session).get(key, key)
    is_hash = re.fullmatch(rf"[0-9a-fA-F]{{{FEWEST_DIGITS},64}}", content)
    begun = in_order.where(begins_with(Artifact.content, content)).limit(6)
    if is_hash and (found := session.exec(begun).all()):
        return list(found)
    named = session.exec(in_order.where(Artifact.name == key).limit(1000)).all()
    if len(named) < 2:
        return list(named)
    paths = {match.content: path_here(match.content, session, workspace) for match in named}
    here = [match for match in named if paths[match.content]]
    own = [match for match in here if workspace / FETCHED not in (paths[match.content] or workspace).parents]
    return own or here or list(named)


def label(artifact: Artifact) -> str:
    """An artifact in a message."""
    return f"{artifact.content[:SHORT]} ({artifact.name or artifact.kind})"


def _words(session: Session) -> set[str]:
    names = session.exec(select(Artifact.name).where(col(Artifact.name).is_not(None)).distinct().limit(1000)).all()
    return {*current_aliases(session=session), *(name for name in names if name)}


def current_aliases(*, session: Session) -> dict[str, str]:
    """Every alias in use -> full hash of its checkpoint."""
    latest = current_promotions(session=session)
    return {alias: found.content for alias, found in sorted(latest.items()) if found.content is not None}


def current_promotions(*, session: Session) -> dict[str, Promotion]:
    """Every alias that ever was -> what happened to it last."""
    in_order = session.exec(select(Promotion).order_by(col(Promotion.made_at), col(Promotion.id)))
    return {promotion.alias: promotion for promotion in in_order}


def current_tags(*, session: Session) -> dict[str, set[str]]:
    """Every tag in use -> the contents that have it."""
    marks = select(Remark).where(col(Remark.kind).in_(("tag", "untag")))
    tags: dict[str, set[str]] = {}
    for mark in session.exec(marks.order_by(col(Remark.made_at), col(Remark.id))):
        having = tags.setdefault(mark.text, set())
        having.add(mark.content) if mark.kind == "tag" else having.discard(mark.content)
    return {tag: having for tag, having in sorted(tags.items()) if having}


def description_of(content: str, session: Session) -> str | None:
    """The latest description of an artifact."""
    described = select(Remark.text).where(Remark.content == content, Remark.kind == "description")
    return session.exec(described.order_by(col(Remark.made_at).desc(), col(Remark.id).desc()).limit(1)).first()


def locations_of(content: str, session: Session) -> list[Location]:
    """Where the files of an artifact were seen; what was fetched comes last."""
    places = session.exec(select(Location).where(Location.content == content).order_by(Location.path))
    return sorted(places, key=lambda place: Path(place.path).is_relative_to(FETCHED))


def path_here(content: str, session: Session, workspace: Path) -> Path | None:
    """Where an artifact lies in the workspace now, of the places where it was seen."""
    paths = (workspace / place.path for place in locations_of(content, session))
    return next((path for path in paths if content_at(path) == content), None)


def content_at(folder: Path) -> str | None:
    """The content hash that the manifest of a folder states; None if it is missing or unusable."""
    try:
        return load_manifest(folder).content
    except (UserError, OSError):
        return None
