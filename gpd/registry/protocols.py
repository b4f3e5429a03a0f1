"""Which protocol scores are of: scores of different protocols are never compared."""

from collections import Counter
from pathlib import Path

from sqlalchemy import exists, func, true
from sqlmodel import Session, col, select

from gpd.artifacts import UserError
from gpd.documents import load_json
from gpd.registry.columns import clean_text
from gpd.registry.documents import EVALUATIONS, comparable
from gpd.registry.finding import SHORT, begins_with, listed, near
from gpd.registry.tables import Evaluation, Protocol, Score


def find_protocol(*, key: str, session: Session) -> Protocol:
    """The protocol of an abbreviated hash.

    Raises:
        UserError: none or several begin so.
    """
    beginning = begins_with(Protocol.hash, clean_text(key))
    matches = session.exec(select(Protocol).where(beginning).order_by(Protocol.hash).limit(6)).all()
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(f"protocol {key!r} is ambiguous: {listed([match.hash[:SHORT] for match in matches])}")
    known = [found[:SHORT] for found in session.exec(select(Protocol.hash).order_by(Protocol.hash).limit(100))]
    raise UserError(f"protocol {key!r}: not in the registry{near(key, known)}")


def pick_protocol(protocols: list[Protocol], *, session: Session, workspace: Path) -> tuple[Protocol, str | None]:
    """Of several that fit: the one of most evaluations in this workspace, else of most checkpoints in the registry.

    Returns:
        It, and a line that says what was picked from; None if there was no choice.
    """
    if len(protocols) == 1:
        return protocols[0], None
    here, used = _used_here(workspace), _used(session)
    first, *others = sorted(protocols, key=lambda one: (-here[one.hash], -used[one.hash], one.hash))
    why = "that of this workspace's evaluations" if here[first.hash] else f"of most checkpoints ({used[first.hash]})"
    differing = [f"{other.hash[:SHORT]} ({_differences(first, other)})" for other in others]
    return first, f"protocol {first.hash[:SHORT]}, {why}; --protocol chooses another: {listed(differing)}"


def choose_protocol(
    key: str | None, metrics: list[str], session: Session, workspace: Path
) -> tuple[str | None, str | None]:
    """The hash of the protocol of this key, else of one under which all of these metrics were measured, and the note.

    Raises:
        UserError: there is none of this key.
    """
    if key is not None:
        return find_protocol(key=key, session=session).hash, None
    measured = [exists().where(col(Score.protocol) == col(Protocol.hash), col(Score.metric) == one) for one in metrics]
    fitting = list(session.exec(select(Protocol).where(*measured).order_by(Protocol.hash)))
    if not fitting:
        return None, "no protocol has all of these metrics"
    chosen, note = pick_protocol(fitting, session=session, workspace=workspace)
    return chosen.hash, note


def _used_here(workspace: Path) -> Counter[str]:
    """How many evaluations lie in the workspace now, by protocol."""
    found: Counter[str] = Counter()
    for path in workspace.glob(EVALUATIONS):
        try:
            found[str(load_json(path, "")["protocol"]["hash"])] += 1
        except (UserError, OSError, KeyError, TypeError):
            continue  # `gpd registry sync` says what is wrong with it
    return found


def _used(session: Session) -> Counter[str]:
    """How many checkpoints were measured, by protocol."""
    number = func.count(col(Evaluation.checkpoint).distinct())
    complete = select(Evaluation.protocol, number).where(col(Evaluation.is_complete) == true())
    return Counter(dict(session.exec(complete.group_by(Evaluation.protocol)).all()))


def _differences(one: Protocol, other: Protocol) -> str:
    keys = sorted(one.fields.keys() | other.fields.keys())
    differing = [key for key in keys if comparable(one.fields.get(key)) != comparable(other.fields.get(key))]
    return ", ".join(f"{key}={other.fields.get(key)!r:.24}" for key in differing)
