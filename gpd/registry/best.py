"""The best checkpoint by a metric: under one protocol, among finished measurements, ties named, never a silent none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, true
from sqlmodel import Session, col, select

from gpd.artifacts import UserError
from gpd.registry.columns import clean_text
from gpd.registry.documents import comparable
from gpd.registry.finding import SHORT, locations_of, near
from gpd.registry.rows import JSON_ONLY, make_row
from gpd.registry.tables import DIRECTIONS, Artifact, Checkpoint, Evaluation, Param, Protocol, Score

Role = Literal["student", "base", "any"]
TIES_NAMED = 20
COLUMNS: dict[str, tuple[Any, type]] = {  # of `where`, besides the keys of params
    "stage": (Checkpoint.stage, str),
    "horizon": (Checkpoint.horizon, int),
    "sampling_steps": (Checkpoint.sampling_steps, int),
    "base": (Checkpoint.base, str),
    "revision": (Checkpoint.revision, str),
    "subject": (Evaluation.subject, str),
    "solver": (Evaluation.solver, str),
    "guidance_scale": (Evaluation.guidance_scale, float),
}


@dataclass(frozen=True)
class Measured:
    """A checkpoint with one score. `value` is a number, or the text nan, inf or -inf."""

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

    @property
    def setting(self) -> str:
        """How the checkpoint was sampled, in short."""
        return f"{self.steps} steps {self.solver} w={self.guidance_scale:g}"


@dataclass(frozen=True)
class Winner(Measured):
    """With where it was seen, relative to a workspace."""

    role: str | None
    paths: list[str]


def current_scores() -> Any:
    """Scores that no later evaluation has replaced, each with its evaluation and artifact."""
    joined = select(Evaluation, Score, Artifact).join(Score, and_(col(Score.evaluation) == col(Evaluation.id)))
    joined = joined.join(Artifact, col(Artifact.content) == col(Evaluation.checkpoint))
    return joined.where(col(Evaluation.is_current) == true())


def make_measured(evaluation: Evaluation, score: Score, artifact: Artifact) -> Measured:
    """A row of the answer from a row of `current_scores`."""
    value = score.not_finite if score.value is None else score.value
    return make_row(Measured, score, evaluation, artifact, value=value)


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
    winners: list[Winner]


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
    question = Question(steps, clean_text(metric), role, clean_text(dict(where or {})))
    _check_where(question, session)
    chosen = _choose_protocol(question, protocol, session)
    direction = _direction(question, chosen.hash, session)
    values = _best_values(question, chosen.hash, direction, session)
    if not values:
        raise UserError(_why_nothing(question, chosen.hash, session))
    tied = best_statement(question, chosen.hash, direction).where(col(Score.value).in_(values))
    rows = session.exec(tied.order_by(col(Evaluation.checkpoint)).limit(TIES_NAMED)).all()
    winners = list({row[0].checkpoint: _winner(*row, session=session) for row in rows}.values())
    excluded, is_tie = _excluded(question, chosen.hash, session), len(winners) > 1
    return Best(metric, direction, steps, chosen.hash, chosen.fields, is_tie, *excluded, winners)


def best_statement(question: Question, protocol: str, direction: str) -> Any:
    """Those that may win, unordered. The index of Score begins with exactly the columns compared here."""
    role = col(Checkpoint.content) == col(Evaluation.checkpoint)
    return (
        current_scores()
        .add_columns(Checkpoint)
        .join(Checkpoint, role, isouter=True)
        .where(
            question.scores(protocol),
            col(Score.direction) == direction,
            col(Score.value).is_not(None),
            col(Evaluation.is_complete) == true(),
            *_restrictions(question),
        )
    )


def _best_values(question: Question, protocol: str, direction: str, session: Session) -> list[float]:
    """The winning value; two of them if one above and one below 1 are equally near to it."""
    statement, value = best_statement(question, protocol, direction).limit(1), col(Score.value)
    ordered = {
        "lower": [statement.order_by(value.asc())],
        "higher": [statement.order_by(value.desc())],
        "one": [
            statement.where(value >= 1.0).order_by(value.asc()),
            statement.where(value < 1.0).order_by(value.desc()),
        ],
    }[direction]
    found = [row[1].value for row in (session.exec(one).first() for one in ordered) if row]
    least = min((abs(one - 1.0) for one in found), default=0.0)
    return [one for one in found if abs(one - 1.0) == least]


def _winner(
    evaluation: Evaluation, score: Score, artifact: Artifact, checkpoint: Checkpoint | None, *, session: Session
) -> Winner:
    paths = [place.path for place in locations_of(artifact.content, session)]
    return make_row(Winner, score, evaluation, artifact, role=checkpoint.role if checkpoint else None, paths=paths)


# --- restrictions


def _restrictions(question: Question) -> list[ColumnElement[bool]]:
    is_base = or_(
        func.coalesce(Checkpoint.role, "student") == "base",
        exists().where(col(Protocol.hash) == col(Evaluation.protocol), col(Protocol.teacher) == Evaluation.checkpoint),
    )
    restrictions = {"student": [~is_base], "base": [is_base], "any": []}[question.role]
    return restrictions + [_equals(key, value) for key, value in question.where.items()]


def _equals(key: str, value: str) -> ColumnElement[bool]:
    if key in COLUMNS:
        column, kind = COLUMNS[key]
        return and_(column == _typed(key, value, kind))
    owner = col(Param.content) == col(Evaluation.checkpoint)
    return exists().where(owner, col(Param.key) == key, col(Param.value) == _stored(value))


def _typed(key: str, value: str, kind: type) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise UserError(f"--where {key}={value}: {key} is a number") from None


def _stored(value: str) -> str:
    try:
        return comparable(float(value))
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
    low = clean_text(key).lower()
    in_range = select(Protocol).where(Protocol.hash >= low, Protocol.hash < low + "g").order_by(Protocol.hash)
    matches = session.exec(in_range.limit(6)).all()
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(f"protocol {key!r} is ambiguous: {', '.join(match.hash[:SHORT] for match in matches)}")
    known = [found[:SHORT] for found in session.exec(select(Protocol.hash).order_by(Protocol.hash).limit(100))]
    raise UserError(f"protocol {key!r}: not in the registry{near(key, known)}")


def _choose_protocol(question: Question, key: str | None, session: Session) -> Protocol:
    if key is not None:
        return find_protocol(key=key, session=session)
    measured = exists().where(question.scores(col(Protocol.hash)))
    protocols = list(session.exec(select(Protocol).where(measured).order_by(Protocol.hash)))
    if len(protocols) > 1:
        protocols = [found for found in protocols if _has_candidate(question, found.hash, session)] or protocols
    if not protocols:
        raise UserError(_why_nothing(question, None, session))
    if len(protocols) > 1:
        raise UserError(_several(question, protocols))
    return protocols[0]


def _has_candidate(question: Question, protocol: str, session: Session) -> bool:
    statements = (best_statement(question, protocol, direction).limit(1) for direction in DIRECTIONS)
    return any(session.exec(statement).first() is not None for statement in statements)


def _several(question: Question, protocols: list[Protocol]) -> str:
    keys = sorted({key for found in protocols for key in found.fields})
    differing = [key for key in keys if len({comparable(found.fields.get(key)) for found in protocols}) > 1]
    lines = [
        f"{found.hash[:SHORT]} ({', '.join(f'{key}={found.fields.get(key)!r:.24}' for key in differing)})"
        for found in protocols[:5]
    ]
    return (
        f"{question.metric} at {question.steps} steps was measured under {len(protocols)} protocols, whose values do "
        f"not compare; choose with --protocol: {', '.join(lines)}{', ...' if len(protocols) > 5 else ''}"
    )


def _direction(question: Question, protocol: str, session: Session) -> str:
    of_all = select(Score.direction).where(question.scores(protocol)).limit(1)
    found = [one for one in DIRECTIONS if session.exec(of_all.where(Score.direction == one)).first()]
    if not found:
        raise UserError(_why_nothing(question, protocol, session))
    if len(found) > 1:
        raise UserError(
            f"{question.metric} under protocol {protocol[:SHORT]}: evaluations disagree whether {' or '.join(found)} "
            "is better; evaluate again with one version of gpd"
        )
    return found[0]


# --- what could not win, and why


def _excluded(question: Question, protocol: str, session: Session) -> tuple[int, int]:
    """How many current evaluations could not win: incomplete ones, and values that are not finite numbers."""
    of_metric = and_(col(Score.evaluation) == col(Evaluation.id), col(Score.metric) == question.metric)
    current = select(func.count()).select_from(Evaluation).join(Score, of_metric)
    current = current.where(col(Evaluation.is_current) == true())
    incomplete = current.where(
        col(Evaluation.protocol) == protocol,
        col(Evaluation.steps) == question.steps,
        col(Evaluation.is_complete) == false(),
    )
    not_finite = current.where(
        question.scores(protocol),
        col(Score.direction).in_(DIRECTIONS),  # all there are: lets the index reach the value
        col(Score.value).is_(None),
        col(Evaluation.is_complete) == true(),
    )
    return session.exec(incomplete).one(), session.exec(not_finite).one()


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
        f"{not_finite} not a finite number, the others do not match {asked}"
    )
