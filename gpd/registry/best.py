"""The best checkpoint by a metric: under one protocol, among finished measurements, ties named, never a silent none."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, true
from sqlmodel import Session, col, select

from gpd.artifacts import UserError
from gpd.registry.answers import JSON_ONLY, make_answer
from gpd.registry.columns import clean_text
from gpd.registry.documents import comparable
from gpd.registry.finding import SHORT, begins_with, listed, locations_of, near
from gpd.registry.tables import Artifact, Checkpoint, Evaluation, Param, Protocol, Score

Role = Literal["student", "base", "any"]
TIES_NAMED = 20
LARGEST = sys.float_info.max
COLUMNS: dict[str, Any] = {  # of `where`, besides the keys of params
    "stage": Checkpoint.stage,
    "horizon": Checkpoint.horizon,
    "sampling_steps": Checkpoint.sampling_steps,
    "base": Checkpoint.base,
    "revision": Checkpoint.revision,
    "subject": Evaluation.subject,
    "solver": Evaluation.solver,
    "guidance_scale": Evaluation.guidance_scale,
}
NUMBERS: dict[str, type] = {"horizon": int, "sampling_steps": int, "guidance_scale": float}


@dataclass(frozen=True)
class Measured:
    """A checkpoint with one score. `value` is a number or the text nan, inf or -inf; only a winner has `paths`."""

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
    role: str | None = field(metadata=JSON_ONLY)
    paths: list[str]

    @property
    def setting(self) -> str:
        """How the checkpoint was sampled, in short."""
        return f"{self.steps} steps {self.solver} w={self.guidance_scale:g}"


@dataclass(frozen=True)
class Best:
    """The answer: more than one winner is a tie. What could not win is counted."""

    metric: str
    direction: str
    steps: int
    protocol: str
    protocol_fields: dict[str, Any] = field(metadata=JSON_ONLY)
    is_tie: bool
    num_incomplete: int
    num_not_finite: int
    winners: list[Measured]


@dataclass(frozen=True)
class Question:
    """A question to `best`."""

    steps: int
    metric: str
    role: Role = "student"
    where: Mapping[str, str] = field(default_factory=dict)

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
    return make_answer(Measured, score, evaluation, *rows, value=value, paths=list(paths))


def best(
    *,
    session: Session,
    steps: int,
    metric: str = "trajectory_error",
    protocol: str | None = None,
    where: Mapping[str, str] | None = None,
    role: Role = "student",
) -> Best:
    """The best checkpoint sampled with `steps` steps by a metric under one protocol (a hash, may be abbreviated).

    `where` restricts by equality: keys of a checkpoint's params (dotted) or of COLUMNS. The undistilled base model
    competes only with role "base" or "any".

    Raises:
        UserError: nothing matches (with what there is instead), several protocols do, or a key is unknown.
    """
    if role not in get_args(Role):
        raise UserError(f"--role {role}: must be student, base or any")
    question = Question(steps, clean_text(metric), role, clean_text(dict(where or {})))
    _check_where(question, session)
    chosen = find_protocol(key=protocol, session=session) if protocol is not None else _only_protocol(question, session)
    direction = _direction(question, chosen.hash, session)
    winners = _winners(question, chosen.hash, direction, session)
    if not winners:
        raise UserError(_why_nothing(question, chosen.hash, session))
    excluded = _excluded(question, chosen.hash, session)
    return Best(metric, direction, steps, chosen.hash, chosen.fields, len(winners) > 1, *excluded, winners)


def is_usable_number() -> ColumnElement[bool]:
    """Whether a score can be the best: finite, and for an error or a ratio not below 0. Texts compare as too large."""
    value = col(Score.value)
    return and_(value.between(-LARGEST, LARGEST), or_(col(Score.direction) == "higher", value >= 0))


def candidates(question: Question, protocol: str) -> Any:
    """Those that may win, unordered. The index of Score begins with what is compared here, then direction and value."""
    is_complete = col(Evaluation.is_complete) == true()
    return current_scores().where(question.scores(protocol), is_usable_number(), is_complete, *_restrictions(question))


def _winners(question: Question, protocol: str, direction: str, session: Session) -> list[Measured]:
    """Those with the best value, one entry for each checkpoint."""
    found, value = candidates(question, protocol).where(col(Score.direction) == direction), col(Score.value)
    measure, order = {
        "lower": (value, value.asc()),
        "higher": (value, value.desc()),
        "one": (distance := func.abs(value - 1), distance.asc()),
    }[direction]
    least = found.with_only_columns(measure).order_by(order).limit(1).scalar_subquery()
    tied = found.where(measure == least).order_by(col(Evaluation.checkpoint)).limit(TIES_NAMED)
    rows = {row[0].checkpoint: row for row in session.exec(tied)}
    paths = {content: tuple(place.path for place in locations_of(content, session)) for content in rows}
    return [make_measured(*row, paths=paths[content]) for content, row in rows.items()]


# --- restrictions


def _restrictions(question: Question) -> list[ColumnElement[bool]]:
    is_teacher = exists().where(
        col(Protocol.hash) == col(Evaluation.protocol), col(Protocol.teacher) == Evaluation.checkpoint
    )
    is_base = or_(col(Artifact.kind) == "base", is_teacher)
    restrictions = {"student": [~is_base], "base": [is_base], "any": []}[question.role]
    return restrictions + [_equals(key, value) for key, value in question.where.items()]


def _equals(key: str, value: str) -> ColumnElement[bool]:
    if key not in COLUMNS:
        of_checkpoint = col(Param.content) == col(Evaluation.checkpoint)
        return exists().where(of_checkpoint, col(Param.key) == key, col(Param.value) == comparable(_number(value)))
    try:
        return and_(COLUMNS[key] == NUMBERS.get(key, str)(value))
    except ValueError:
        raise UserError(f"--where {key}={value}: {key} is a number") from None


def _number(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def _check_where(question: Question, session: Session) -> None:
    for key in question.where:
        if key not in COLUMNS and session.exec(select(Param.key).where(Param.key == key).limit(1)).first() is None:
            known = [*COLUMNS, *session.exec(select(Param.key).distinct().limit(1000)).all()]
            raise UserError(f"--where {key}: no checkpoint has this key{near(key, known)}")


# --- one protocol, one direction


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


def _only_protocol(question: Question, session: Session) -> Protocol:
    """The one under which it was measured; if there are several, the one under which something can win."""
    measured = exists().where(question.scores(col(Protocol.hash)))
    protocols = list(session.exec(select(Protocol).where(measured).order_by(Protocol.hash)))
    if not protocols:
        raise UserError(_why_nothing(question, None, session))
    if len(protocols) > 1:
        usable = [one for one in protocols if session.exec(candidates(question, one.hash).limit(1)).first()]
        protocols = usable or protocols
    if len(protocols) > 1:
        raise UserError(_several(question, protocols))
    return protocols[0]


def _several(question: Question, protocols: list[Protocol]) -> str:
    keys = sorted({key for found in protocols for key in found.fields})
    differing = [key for key in keys if len({comparable(found.fields.get(key)) for found in protocols}) > 1]
    settings = [", ".join(f"{key}={found.fields.get(key)!r:.24}" for key in differing) for found in protocols]
    choices = [f"{found.hash[:SHORT]} ({setting})" for found, setting in zip(protocols, settings, strict=True)]
    return (
        f"{question.metric} at {question.steps} steps was measured under {len(protocols)} protocols, whose values do "
        f"not compare; choose with --protocol: {listed(choices)}"
    )


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


# --- what could not win, and why


def _excluded(question: Question, protocol: str, session: Session) -> tuple[int, int]:
    """How many current evaluations could not win: incomplete ones, and values that cannot be the best."""
    current = current_scores(func.count()).where(question.scores(protocol))
    is_incomplete = col(Evaluation.is_complete) == false()
    same = and_(col(Evaluation.protocol) == protocol, col(Evaluation.steps) == question.steps)  # its index serves
    incomplete = session.exec(current.where(same, is_incomplete)).one()
    unusable = or_(col(Score.value).is_(None), ~is_usable_number())
    not_finite = session.exec(current.where(~is_incomplete, unusable)).one()
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
    asked = ", ".join([f"role {question.role}", *(f"{key}={value}" for key, value in question.where.items())])
    return (
        f"no {question.steps}-step checkpoint can win by {question.metric}{under}: {incomplete} incomplete, "
        f"{not_finite} not a finite number or below 0, the others do not match {asked}"
    )
