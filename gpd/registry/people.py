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
from gpd.registry.finding import CHECKPOINT_KINDS, SHORT, current_aliases, find_artifact, near
from gpd.registry.tables import Artifact, Evaluation, Promotion, Remark, Score, checked

M = TypeVar("M", Promotion, Remark)


def promote(
    *, session: Session, key: str, alias: str, because: str, by: str | None = None, force: bool = False
) -> Promotion:
    """Gives an alias to a checkpoint and takes it from the one that had it.

    Args:
        force: also to a student that has collapsed.

    Raises:
        UserError: the alias could be taken for a hash or a name, no reason is given, or it is a student without a
            finite score, with one that is not finite, or one that has collapsed.
    """
    _check_alias(alias, session)
    found = find_artifact(key=key, session=session, kinds=CHECKPOINT_KINDS)
    if found.kind == StudentFacts.kind:
        _check_scores(found, session)
        if not force:
            _check_collapse(found, session)
    content = found.content
    return _add(Promotion, session, by, alias=alias, content=content, because=because)


def withdraw(*, session: Session, alias: str, because: str, by: str | None = None) -> Promotion:
    """Takes an alias back from the checkpoint that has it.

    Raises:
        UserError: nobody has the alias, or no reason is given.
    """
    aliases = current_aliases(session=session)
    if alias not in aliases:
        raise UserError(f"alias {alias!r}: no checkpoint has it{near(alias, aliases)}")
    return _add(Promotion, session, by, alias=alias, content=None, because=because)


def remark(*, session: Session, key: str, text: str, by: str | None = None) -> Remark:
    """Keeps a remark on an artifact.

    Raises:
        UserError: the remark is empty.
    """
    return _add(Remark, session, by, content=find_artifact(key=key, session=session).content, text=text)


def _check_scores(student: Artifact, session: Session) -> None:
    """What diverged in training, or was never measured, is not recommended to anyone."""
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


def _check_alias(alias: str, session: Session) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9._-]{0,63}", alias):
        raise UserError(f"alias {alias!r}: small letters, digits, dots and dashes, beginning with a letter")
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
