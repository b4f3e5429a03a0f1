"""What people decide and say: aliases with who, when and why, and remarks. Rows are only ever added."""

import getpass
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session, SQLModel, col, select

from gpd.artifacts import UserError, hash_json
from gpd.registry.columns import clean_text
from gpd.registry.finding import SHORT, alias_content, current_aliases, near
from gpd.registry.tables import Artifact, Promotion, PromotionCreate, Remark, RemarkCreate, Run, RunOutput


@dataclass(frozen=True)
class Event:
    """Something that happened to an artifact: it was made by a run, promoted, demoted or remarked on."""

    at: datetime
    what: str
    who: str | None
    content: str | None
    text: str
    details: dict[str, Any]


def promote(*, session: Session, content: str, alias: str, because: str, by: str | None = None) -> Promotion:
    """Gives an alias to a checkpoint (by its full hash) and takes it from the one that had it.

    Raises:
        UserError: the alias could be taken for a hash or a name, or no reason is given.
    """
    _check_alias(alias, session)
    return _add_promotion(session, alias, content, because, by)


def withdraw(*, session: Session, alias: str, because: str, by: str | None = None) -> Promotion:
    """Takes an alias back from the checkpoint that has it.

    Raises:
        UserError: nobody has the alias.
    """
    if alias_content(alias=alias, session=session) is None:
        raise UserError(f"alias {alias!r}: no checkpoint has it{near(alias, current_aliases(session=session))}")
    return _add_promotion(session, alias, None, because, by)


def resolve(*, session: Session, alias: str) -> str:
    """The full hash of the checkpoint that has an alias now.

    Raises:
        UserError: none has it.
    """
    content = alias_content(alias=alias, session=session)
    if content is None:
        raise UserError(f"alias {alias!r}: no checkpoint has it{near(alias, current_aliases(session=session))}")
    return content


def remark(*, session: Session, content: str, text: str, by: str | None = None) -> Remark:
    """Keeps a remark on an artifact (by its full hash).

    Raises:
        UserError: the remark is empty.
    """
    if not text.strip():
        raise UserError("a remark cannot be empty")
    row = _signed({"content": content, "text": text}, by)
    added = Remark(**_checked(RemarkCreate, row))
    session.add(added)
    session.flush()
    return added


def history(*, session: Session, content: str | None = None, alias: str | None = None, limit: int = 200) -> list[Event]:
    """The last `limit` things that happened, oldest first: to one artifact, to one alias, or to everything."""
    events = [_told(promotion) for promotion in _promotions(session, content, alias, limit)]
    if alias is None:
        events += _remarks(session, content, limit) + _runs(session, content, limit)
    return sorted(events, key=lambda event: event.at)[-limit:]


def whoami() -> str:
    """The name of the person at the keyboard."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for the user's number
        return "unknown"


def _check_alias(alias: str, session: Session) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9._-]{0,63}", alias):
        raise UserError(f"alias {alias!r}: small letters, digits, dots and dashes, beginning with a letter")
    if re.fullmatch(r"[0-9a-f]{4,}", alias):
        raise UserError(f"alias {alias!r}: could be taken for a hash")
    if session.exec(select(Artifact.content).where(Artifact.name == alias).limit(1)).first():
        raise UserError(f"alias {alias!r}: an artifact has this name")


def _add_promotion(session: Session, alias: str, content: str | None, because: str, by: str | None) -> Promotion:
    if not because.strip():
        raise UserError("--because: say why; the history keeps it")
    row = _signed({"alias": alias, "content": content, "because": because}, by)
    added = Promotion(**_checked(PromotionCreate, row))
    session.add(added)
    session.flush()
    return added


def _signed(row: dict[str, Any], by: str | None) -> dict[str, Any]:
    made_at, signed = datetime.now(UTC), {key: clean_text(value) for key, value in row.items()}
    signed["made_by"] = clean_text(by or whoami())
    return {**signed, "made_at": made_at, "id": hash_json({**signed, "made_at": made_at.isoformat()})}


def _checked(create: type[SQLModel], row: dict[str, Any]) -> dict[str, Any]:
    try:
        return create.model_validate(row).model_dump()
    except ValidationError as error:
        mistake = error.errors()[0]
        raise UserError(f"{mistake['loc'][0]}={mistake['input']!r:.60}: {mistake['msg']}") from None


def _promotions(session: Session, content: str | None, alias: str | None, limit: int) -> list[Promotion]:
    statement = select(Promotion).order_by(col(Promotion.made_at).desc()).limit(limit)
    if content is not None:
        held = select(Promotion.alias).where(Promotion.content == content)
        statement = statement.where(col(Promotion.alias).in_(held))  # also when it passed on to another
    if alias is not None:
        statement = statement.where(Promotion.alias == alias)
    return list(session.exec(statement))


def _told(promotion: Promotion) -> Event:
    verb = f"{promotion.alias} ->" if promotion.content else f"{promotion.alias} withdrawn"
    target = promotion.content[:SHORT] if promotion.content else ""
    text = f"{verb} {target}".strip() + f": {promotion.because}"
    details = {"alias": promotion.alias, "because": promotion.because}
    return Event(promotion.made_at, "promotion", promotion.made_by, promotion.content, text, details)


def _remarks(session: Session, content: str | None, limit: int) -> list[Event]:
    statement = select(Remark).order_by(col(Remark.made_at).desc()).limit(limit)
    if content is not None:
        statement = statement.where(Remark.content == content)
    return [Event(row.made_at, "remark", row.made_by, row.content, row.text, {}) for row in session.exec(statement)]


def _runs(session: Session, content: str | None, limit: int) -> list[Event]:
    statement = select(Run).order_by(col(Run.started).desc()).limit(limit)
    if content is not None:
        made_it = select(RunOutput.run).where(RunOutput.content == content)
        statement = statement.where(col(Run.id).in_(made_it))
    return [_told_run(run, content) for run in session.exec(statement)]


def _told_run(run: Run, content: str | None) -> Event:
    outcome = "finished" if run.exit_code == 0 else f"failed ({run.error})"
    keys = ("id", "stage", "git_commit", "git_is_dirty", "device", "device_seconds", "exit_code", "flow_run_id")
    details = {key: getattr(run, key) for key in keys}
    return Event(run.started, "run", run.host, content, f"{run.stage} {outcome}", details)
