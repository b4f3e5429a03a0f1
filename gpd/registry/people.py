"""What people decide and say: aliases with who, when and why, and remarks. Rows are only ever added."""

import getpass
import re
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlmodel import Session, col, select

from gpd.artifacts import UserError, hash_json
from gpd.documents import StudentFacts, first_mistake
from gpd.documents.collapse import signs_of_collapse
from gpd.registry.best import current_scores
from gpd.registry.columns import clean_text
from gpd.registry.finding import (
    CHECKPOINT_KINDS,
    SHORT,
    current_aliases,
    current_promotions,
    current_tags,
    find_artifact,
    near,
)
from gpd.registry.guard import check_checkpoint, check_promotions
from gpd.registry.hook import CHANGES
from gpd.registry.tables import Artifact, Evaluation, Promotion, Remark, Score, checked

M = TypeVar("M", Promotion, Remark)


def promote(
    *, session: Session, key: str, alias: str, because: str, by: str | None = None, force: bool = False
) -> Promotion:
    """Gives an alias to a checkpoint and takes it from the one that had it; a protected one only by force.

    Args:
        force: also to a student that has collapsed.

    Raises:
        UserError: the alias could be taken for a hash or a name, no reason is given, it is protected, or it is a
            student without a finite score, with one that is not finite, or one that has collapsed.
        DamagedError: the rows of the student, of whoever has the alias now, or of a promotion are not as recorded.
    """
    _check_alias(alias, session)
    check_promotions(session)
    if holder := current_aliases(session=session).get(alias):
        check_checkpoint(session, holder)  # with whom it was compared
    found = find_artifact(key=key, session=session, kinds=CHECKPOINT_KINDS)
    if found.kind == StudentFacts.kind:
        _check_scores(found, session)
        if not force:
            _check_collapse(found, session)
    return _move(session, by, force, alias=alias, content=found.content, because=because)


def withdraw(*, session: Session, alias: str, because: str, by: str | None = None, force: bool = False) -> Promotion:
    """Takes an alias back from the checkpoint that has it; a protected one only by force, which ends its protection.

    Raises:
        UserError: nobody has the alias, it is protected, or no reason is given.
    """
    _check_given(alias, session)
    return _move(session, by, force, alias=alias, content=None, because=because)


def protect(*, session: Session, alias: str, because: str, by: str | None = None, off: bool = False) -> Promotion:
    """From now on the alias is moved by force only; with `off` freely again.

    Raises:
        UserError: nobody has the alias, or no reason is given.
    """
    owner = _check_given(alias, session)
    return _add(Promotion, session, by, alias=alias, content=owner, because=because, is_protected=not off)


def describe(*, session: Session, key: str, text: str, by: str | None = None) -> Remark:
    """Says what an artifact is; the latest description counts.

    Raises:
        UserError: the description is empty.
    """
    content = find_artifact(key=key, session=session).content
    return _add(Remark, session, by, content=content, text=text, kind="description")


def tag(*, session: Session, key: str, tag: str, by: str | None = None, remove: bool = False) -> Remark:
    """Puts a tag on an artifact, or takes it off.

    Raises:
        UserError: it is no tag, or is to be taken off and is not there.
    """
    _check_word("tag", tag)
    content, tags = find_artifact(key=key, session=session).content, current_tags(session=session)
    if remove and content not in tags.get(tag, ()):
        own = [one for one, having in tags.items() if content in having]
        raise UserError(f"tag {tag!r}: {content[:SHORT]} does not have it{near(tag, own)}")
    return _add(Remark, session, by, content=content, text=tag, kind="untag" if remove else "tag")


def remark(*, session: Session, key: str, text: str, by: str | None = None) -> Remark:
    """Keeps a remark on an artifact.

    Raises:
        UserError: the remark is empty.
    """
    return _add(Remark, session, by, content=find_artifact(key=key, session=session).content, text=text)


def _check_scores(student: Artifact, session: Session) -> None:
    """What diverged in training, was never measured, or whose rows are damaged is not recommended to anyone."""
    check_checkpoint(session, student.content)
    of_it = current_scores(Score).where(col(Evaluation.checkpoint) == student.content)
    label, advice = f"{student.name} ({student.content[:SHORT]})", "evaluate it and `gpd registry sync`"
    worst = session.exec(of_it.where(col(Score.value).is_(None)).order_by(Score.metric).limit(1)).first()
    if worst is not None:
        raise UserError(f"{label}: {worst.metric} is {worst.not_finite}, not a finite number; {advice}")
    if session.exec(of_it.limit(1)).first() is None:
        raise UserError(f"{label}: no finite score in the registry; {advice}")


def _check_collapse(student: Artifact, session: Session) -> None:
    rows = session.exec(current_scores(Score).where(col(Evaluation.checkpoint) == student.content))
    signs = {sign: None for row in rows for sign in signs_of_collapse({row.metric: row.value})}
    if signs:
        label = f"{student.name} ({student.content[:SHORT]})"
        raise UserError(f"{label}: collapsed: {'; '.join(sorted(signs))}; --force promotes it all the same")


def _move(session: Session, by: str | None, force: bool, *, alias: str, content: str | None, because: str) -> Promotion:
    """The alias to another checkpoint, or to none. What the hook is to be told of is left in the session."""
    last = current_promotions(session=session).get(alias)
    is_held = bool(last and last.is_protected and last.content != content)
    if last and is_held and not force:
        raise UserError(f"alias {alias!r} is protected ({last.made_by}: {last.because}); --force moves it all the same")
    protection = {"is_protected": bool(last and last.is_protected and content), "is_forced": is_held}
    moved = _add(Promotion, session, by, alias=alias, content=content, because=because, **protection)
    named = session.get(Artifact, content) if content else None
    change = {**moved.model_dump(), "name": named.name if named else None, "before": last.content if last else None}
    session.info.setdefault(CHANGES, []).append(change)
    return moved


def _check_given(alias: str, session: Session) -> str:
    check_promotions(session)
    aliases = current_aliases(session=session)
    if alias not in aliases:
        raise UserError(f"alias {alias!r}: no checkpoint has it{near(alias, aliases)}")
    return aliases[alias]


def _check_word(what: str, word: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9._-]{0,63}", word):
        raise UserError(f"{what} {word!r}: small letters, digits, dots and dashes, beginning with a letter")


def _check_alias(alias: str, session: Session) -> None:
    _check_word("alias", alias)
    if re.fullmatch(r"[0-9a-f]{4,}", alias):
        raise UserError(f"alias {alias!r}: could be taken for a hash")
    if session.exec(select(Artifact.content).where(Artifact.name == alias).limit(1)).first():
        raise UserError(f"alias {alias!r}: an artifact has this name")


def _add(model: type[M], session: Session, by: str | None, **values: Any) -> M:
    """Signed with a name and the time, which the row's id hashes too."""
    made_at, signed = datetime.now(UTC), clean_text({**values, "made_by": by or whoami()})
    key = hash_json({**signed, "made_at": made_at.isoformat()})
    try:
        row = checked(model, **signed, made_at=made_at, id=key)
    except ValidationError as error:
        raise UserError(first_mistake(error)) from None
    session.add(row)
    session.flush()
    return row


def whoami() -> str:
    """The name of the person at the keyboard."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for the user's number
        return "unknown"
