"""The best checkpoint by a metric: under one protocol, among finished measurements, ties named, never a silent none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, true
from sqlmodel import Session, col, select

from gpd.artifacts import UserError
from gpd.registry.answers import JSON_ONLY, make_answer
from gpd.registry.columns import clean_text
from gpd.registry.finding import SHORT, locations_of, near
from gpd.registry.guard import check_protocols, check_ranked
from gpd.registry.protocols import find_protocol, pick_protocol
from gpd.registry.tables import Artifact, Checkpoint, Evaluation, Location, Protocol, Score
from gpd.registry.where import read_where

Role = Literal["student", "base", "any"]
TIES_NAMED = 20


@dataclass(frozen=True)
class Measured:
    """A checkpoint with one score.

    Attributes:
        value: a number or the text nan, inf or -inf.
        heads: of a student that only gpd samples, until it is folded; None if it has one output layer as others.
        paths: of a winner alone.
    """

    content: str
    name: str | None
    subject: str
    metric: str
    value: float | str
    spread: float | None
    num_samples: int
    protocol: str
    steps: int
    solver: str
    guidance_scale: float
    forwards: int | None
    is_complete: bool
    source: str = field(metadata=JSON_ONLY)
    direction: str = field(metadata=JSON_ONLY)
    heads: int | None
    role: str | None = field(metadata=JSON_ONLY)
    paths: list[str]

    @property
    def setting(self) -> str:
        """How the checkpoint was sampled, in short."""
        return f"{self.steps} steps {self.solver} w={self.guidance_scale:g}"


@dataclass(frozen=True)
class Best:
    """The answer: more than one winner is a tie. What could not win is counted.

    Attributes:
        num_never_seen: measured somewhere, but no sync has seen their files; they win only if all others cannot.
        note: which protocol was picked, if there was a choice.
        warning: what a person should know who means to pass the winner on.
    """

    metric: str
    direction: str
    steps: int
    protocol: str
    protocol_fields: dict[str, Any] = field(metadata=JSON_ONLY)
    is_tie: bool
    num_incomplete: int
    num_not_finite: int
    num_never_seen: int
    note: str | None = field(metadata=JSON_ONLY)
    warning: str | None = field(metadata=JSON_ONLY)
    winners: list[Measured]


@dataclass(frozen=True)
class Question:
    """A question to `best`."""

    steps: int
    metric: str
    role: Role = "student"
    where: Mapping[str, str] | Sequence[str] = ()
    restrictions: Sequence[ColumnElement[bool]] = ()  # what `where` says in SQL
    exportable: bool = False

    def scores(self, protocol: Any) -> ColumnElement[bool]:
        """All scores by the metric at the number of steps under a protocol."""
        return and_(col(Score.metric) == self.metric, col(Score.protocol) == protocol, col(Score.steps) == self.steps)


def current_scores(*columns: Any) -> Any:
    """Scores that no later evaluation has replaced, each with its evaluation, artifact, checkpoint if it is one."""
    joined = select(*(columns or (Evaluation, Score, Artifact, Checkpoint))).select_from(Evaluation)
    joined = joined.join(Score, col(Score.evaluation) == col(Evaluation.id))
    joined = joined.join(Artifact, col(Artifact.content) == col(Evaluation.checkpoint))
    joined = joined.join(Checkpoint, col(Checkpoint.content) == col(Evaluation.checkpoint), isouter=True)
    return joined.where(col(Evaluation.is_current) == true())


def make_measured(evaluation: Evaluation, score: Score, *rows: Any, paths: tuple[str, ...] = ()) -> Measured:
    """An answer from a row of `current_scores`."""
    value = score.not_finite if score.value is None else score.value
    facts = next((row.facts for row in rows if isinstance(row, Artifact)), None) or {}
    return make_answer(Measured, score, evaluation, *rows, value=value, heads=facts.get("heads"), paths=list(paths))


def best(
    *,
    session: Session,
    steps: int,
    metric: str = "trajectory_error",
    protocol: str | None = None,
    where: Mapping[str, str] | Sequence[str] = (),
    role: Role = "student",
    exportable: bool = False,
    workspace: Path = Path(),
) -> Best:
    """The best checkpoint sampled with `steps` steps by a metric under one protocol (a hash, may be abbreviated).

    Of several protocols the one of this workspace's evaluations is taken, else the one of most checkpoints. `where`
    restricts as `gpd.registry.where` says. The undistilled base model competes only with role "base" or "any". With
    `exportable` only those compete that other programs can sample as they are (`is_plain`).

    Raises:
        UserError: nothing matches (with what there is instead), or a key is unknown.
        DamagedError: a row on which the answer rests is not as recorded.
    """
    if role not in get_args(Role):
        raise UserError(f"--role {role}: must be student, base or any")
    restrictions = read_where(where, session).conditions
    question = Question(steps, clean_text(metric), role, where, restrictions, exportable)
    check_protocols(session)
    asked = None if protocol is None else find_protocol(key=protocol, session=session)
    check_ranked(session, metric=question.metric, steps=steps, protocol=asked.hash if asked else None)
    chosen, note = (
        (asked, None) if asked else pick_protocol(_protocols(question, session), session=session, workspace=workspace)
    )
    direction = _direction(question, chosen.hash, session)
    was_seen = exists().where(col(Location.content) == col(Evaluation.checkpoint))
    found = candidates(question, chosen.hash).where(col(Score.direction) == direction)
    winners = _winners(found.where(was_seen), direction, session) or _winners(found, direction, session)
    if not winners:
        raise UserError(_why_nothing(question, chosen.hash, session))
    num_never_seen = session.exec(found.where(~was_seen).with_only_columns(func.count())).one()[0]
    excluded = (*_excluded(question, chosen.hash, session), num_never_seen)
    every = candidates(replace(question, exportable=False), chosen.hash)
    best_of_all = _winners(every, direction, session) if exportable else winners
    told = (*excluded, note, _warning(best_of_all, exportable))
    return Best(metric, direction, steps, chosen.hash, chosen.fields, len(winners) > 1, *told, winners)


def is_usable_number() -> ColumnElement[bool]:
    """Whether a score can be the best: it is a number, and for an error or a ratio not below 0."""
    value = col(Score.value)
    return and_(value.is_not(None), or_(col(Score.direction) == "higher", value >= 0))


def candidates(question: Question, protocol: str) -> Any:
    """Those that may win, unordered. The index of Score begins with what is compared here, then direction and value."""
    is_complete = col(Evaluation.is_complete) == true()
    restrictions = [*_roles(question.role), *question.restrictions, *([is_plain()] if question.exportable else [])]
    return current_scores().where(question.scores(protocol), is_usable_number(), is_complete, *restrictions)


def is_plain() -> ColumnElement[bool]:
    """Whether `gpd export` takes it as it is: one output layer, steps that divide the grid. If never seen: yes."""
    has_heads = col(Artifact.facts)["heads"].as_string().is_not(None)
    has_scheduler = col(Checkpoint.sampling_steps).is_not(None)
    return or_(col(Artifact.manifest_hash).is_(None), and_(~has_heads, has_scheduler))


def _winners(found: Any, direction: str, session: Session) -> list[Measured]:
    """Those with the best value, one entry for each checkpoint."""
    value = col(Score.value)
    measure, order = {
        "lower": (value, value.asc()),
        "higher": (value, value.desc()),
        "one": (distance := func.abs(value - 1), distance.asc()),
    }[direction]
    least = found.with_only_columns(measure).order_by(order).limit(1).correlate(None).scalar_subquery()
    tied = found.where(measure == least).order_by(col(Evaluation.checkpoint)).limit(TIES_NAMED)
    rows = {row[0].checkpoint: row for row in session.exec(tied)}
    paths = {content: tuple(place.path for place in locations_of(content, session)) for content in rows}
    return [make_measured(*row, paths=paths[content]) for content, row in rows.items()]


def _roles(role: Role) -> list[ColumnElement[bool]]:
    is_teacher = exists().where(
        col(Protocol.hash) == col(Evaluation.protocol), col(Protocol.teacher) == Evaluation.checkpoint
    )
    is_base = or_(col(Artifact.kind) == "base", is_teacher)
    return {"student": [~is_base], "base": [is_base], "any": []}[role]


def _protocols(question: Question, session: Session) -> list[Protocol]:
    """Those under which it was measured; if there are several, those under which something can win."""
    measured = exists().where(question.scores(col(Protocol.hash)))
    protocols = list(session.exec(select(Protocol).where(measured).order_by(Protocol.hash)))
    if not protocols:
        raise UserError(_why_nothing(question, None, session))
    return [one for one in protocols if session.exec(candidates(question, one.hash).limit(1)).first()] or protocols


def _direction(question: Question, protocol: str, session: Session) -> str:
    found = sorted(session.exec(select(Score.direction).where(question.scores(protocol)).distinct()), reverse=True)
    if not found:
        raise UserError(_why_nothing(question, protocol, session))
    if len(found) > 1:
        raise UserError(
            f"{question.metric} under protocol {protocol[:SHORT]}: evaluations disagree whether "
            f"{' or '.join(found)} is better; evaluate again with one version of gpd"
        )
    return found[0]


def _warning(found: list[Measured], is_left_out: bool) -> str | None:
    headed = [f"{one.content[:SHORT]} ({one.name}, heads={one.heads})" for one in found if one.heads is not None]
    if not headed:
        return None
    reason = "not exported as it is: it has to be folded first, in a stage with objective: fold"
    advice = "left out, though it is better" if is_left_out else "--exportable leaves it out"
    return f"{', '.join(headed)} is {reason}; {advice}"


# --- what could not win, and why


def _excluded(question: Question, protocol: str, session: Session) -> tuple[int, int]:
    """How many current evaluations could not win: incomplete ones, and values that cannot be the best."""
    current = current_scores(func.count()).where(question.scores(protocol))
    is_incomplete = col(Evaluation.is_complete) == false()
    same = and_(col(Evaluation.protocol) == protocol, col(Evaluation.steps) == question.steps)  # its index serves
    incomplete = session.exec(current.where(same, is_incomplete)).one()
    not_finite = session.exec(current.where(~is_incomplete, ~is_usable_number())).one()
    return incomplete, not_finite


def _why_nothing(question: Question, protocol: str | None, session: Session) -> str:
    """One line: what was requested but does not exist, and what there is instead."""
    measured = select(Score.steps).where(Score.metric == question.metric).distinct()
    if session.exec(measured.limit(1)).first() is None:
        metrics = session.exec(select(Score.metric).distinct()).all()
        return f"metric {question.metric!r}: nothing was measured by it{near(question.metric, metrics)}"
    under = f" under protocol {protocol[:SHORT]}" if protocol else ""
    steps = sorted(session.exec(measured.where(Score.protocol == protocol) if protocol else measured).all())
    if question.steps not in steps:
        there = ", ".join(map(str, steps)) or "none"
        return f"nothing was measured by {question.metric} with {question.steps} steps{under}; steps measured: {there}"
    assert protocol is not None  # a protocol was chosen, since the steps were measured
    incomplete, not_finite = _excluded(question, protocol, session)
    where = question.where
    words = [f"{key}={value}" for key, value in where.items()] if isinstance(where, Mapping) else where
    asked = ", ".join([f"role {question.role}", *words, *(["--exportable"] if question.exportable else [])])
    return (
        f"no {question.steps}-step checkpoint can win by {question.metric}{under}: {incomplete} incomplete, "
        f"{not_finite} not a finite number or below 0, the others do not match {asked}"
    )
