"""Checkpoints as a person wants to see them: as a list, one in full, two side by side."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, true
from sqlmodel import Session, col, select

from gpd.artifacts import hash_json
from gpd.registry import tables as t
from gpd.registry.finding import current_aliases
from gpd.registry.lineage import lineage
from gpd.registry.people import Event, history


@dataclass(frozen=True)
class ShownScore:
    """One metric of one evaluation. `value` is a number, or the text nan, inf or -inf."""

    metric: str
    value: float | str
    direction: str
    num_samples: int
    spread: float | None
    protocol: str
    steps: int
    solver: str
    guidance_scale: float
    forwards: int | None
    subject: str
    source: str
    is_complete: bool


@dataclass(frozen=True)
class Listed:
    """A row of the list of checkpoints."""

    content: str
    name: str | None
    role: str
    horizon: int | None
    sampling_steps: int | None
    forwards: int | None
    size_bytes: int | None
    aliases: list[str]
    paths: list[str]


@dataclass(frozen=True)
class Shown:
    """All that is known of one artifact. `total_forwards` includes everything that it descends from."""

    content: str
    kind: str
    name: str | None
    is_known: bool
    size_bytes: int | None
    num_files: int | None
    checkpoint: dict[str, Any] | None
    base: dict[str, Any] | None
    facts: dict[str, Any]
    params: dict[str, str]
    locations: list[dict[str, Any]]
    aliases: list[str]
    parents: list[dict[str, Any]]
    children: list[dict[str, Any]]
    scores: list[ShownScore]
    total_forwards: int
    events: list[Event]


@dataclass(frozen=True)
class Comparison:
    """Two artifacts side by side: key -> (value of a, value of b), None where one has none.

    Metrics are keyed by protocol and metric, so that only what may be compared stands in one row.
    """

    a: str
    b: str
    metrics: dict[str, tuple[Any, Any]]
    params: dict[str, tuple[Any, Any]]
    data: dict[str, tuple[Any, Any]]
    code: dict[str, tuple[Any, Any]]


def list_checkpoints(
    *, session: Session, role: str | None = None, steps: int | None = None, limit: int = 50
) -> tuple[list[Listed], bool]:
    """Checkpoints by base model, horizon and name, and whether there are more than `limit`."""
    statement = select(t.Checkpoint, t.Artifact).join(t.Artifact, col(t.Artifact.content) == col(t.Checkpoint.content))
    if role is not None:
        statement = statement.where(t.Checkpoint.role == role)
    if steps is not None:
        statement = statement.where(t.Checkpoint.sampling_steps == steps)
    family = (col(t.Checkpoint.role), col(t.Checkpoint.base), col(t.Checkpoint.horizon))
    ordered = statement.order_by(*family, col(t.Artifact.name), col(t.Checkpoint.content))
    rows = session.exec(ordered.limit(limit + 1)).all()
    names = _aliases_by_content(session)
    return [_listed(*row, names=names, session=session) for row in rows[:limit]], len(rows) > limit


def _listed(checkpoint: t.Checkpoint, artifact: t.Artifact, *, names: dict[str, list[str]], session: Session) -> Listed:
    content = checkpoint.content
    return Listed(
        content,
        artifact.name,
        checkpoint.role,
        checkpoint.horizon,
        checkpoint.sampling_steps,
        checkpoint.forwards,
        artifact.size_bytes,
        names.get(content, []),
        [place["path"] for place in _locations(content, session)],
    )


def _aliases_by_content(session: Session) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for alias, content in current_aliases(session=session).items():
        names.setdefault(content, []).append(alias)
    return names


def show(*, session: Session, content: str) -> Shown:
    """One artifact by its full content hash."""
    artifact = session.exec(select(t.Artifact).where(t.Artifact.content == content)).one()
    checkpoint = session.exec(select(t.Checkpoint).where(t.Checkpoint.content == content)).first()
    return Shown(
        content=content,
        kind=artifact.kind,
        name=artifact.name,
        is_known=artifact.manifest_hash is not None,
        size_bytes=artifact.size_bytes,
        num_files=artifact.num_files,
        checkpoint=checkpoint.model_dump() if checkpoint else None,
        base=_base(checkpoint, session),
        facts=artifact.facts or {},
        params=_params(content, session),
        locations=_locations(content, session),
        aliases=_aliases_by_content(session).get(content, []),
        parents=_edges(content, session, upwards=True),
        children=_edges(content, session, upwards=False),
        scores=scores(session=session, content=content),
        total_forwards=lineage(session=session, content=content).forwards,
        events=history(session=session, content=content),
    )


def _base(checkpoint: t.Checkpoint | None, session: Session) -> dict[str, Any] | None:
    if checkpoint is None or checkpoint.base is None:
        return None
    of_base = select(t.Artifact.name, t.Checkpoint.repository, t.Checkpoint.revision).join(
        t.Checkpoint, col(t.Checkpoint.content) == col(t.Artifact.content), isouter=True
    )
    name, repository, revision = session.exec(of_base.where(t.Artifact.content == checkpoint.base)).one()
    return {"content": checkpoint.base, "name": name, "repository": repository, "revision": revision}


def _params(content: str, session: Session) -> dict[str, str]:
    rows = session.exec(select(t.Param).where(t.Param.content == content).order_by(t.Param.key))
    return {row.key: row.value for row in rows}


def _locations(content: str, session: Session) -> list[dict[str, Any]]:
    rows = session.exec(select(t.Location).where(t.Location.content == content).order_by(t.Location.path))
    return [{"path": row.path, "dvc_md5": row.dvc_md5} for row in rows]


def _edges(content: str, session: Session, *, upwards: bool) -> list[dict[str, Any]]:
    near, far = (t.Lineage.child, t.Lineage.parent) if upwards else (t.Lineage.parent, t.Lineage.child)
    statement = (
        select(t.Lineage, t.Artifact).join(t.Artifact, col(t.Artifact.content) == col(far)).where(near == content)
    )
    rows = session.exec(statement.order_by(t.Lineage.relation, t.Artifact.content).limit(1000))
    return [_described_edge(edge, other, upwards=upwards) for edge, other in rows]


def _described_edge(edge: t.Lineage, other: t.Artifact, *, upwards: bool) -> dict[str, Any]:
    kind = edge.parent_kind if upwards and other.kind == t.UNKNOWN else other.kind
    return {"relation": edge.relation, "content": other.content, "name": other.name, "kind": kind}


def scores(*, session: Session, content: str) -> list[ShownScore]:
    """Every current score of a checkpoint, by protocol, steps and metric."""
    statement = (
        select(t.Evaluation, t.Score)
        .join(t.Score, and_(col(t.Score.evaluation) == col(t.Evaluation.id)))
        .where(t.Evaluation.checkpoint == content, col(t.Evaluation.is_current) == true())
        .order_by(t.Evaluation.protocol, col(t.Evaluation.steps), t.Evaluation.subject, t.Score.metric)
    )
    return [_shown_score(evaluation, score) for evaluation, score in session.exec(statement)]


def _shown_score(evaluation: t.Evaluation, score: t.Score) -> ShownScore:
    value = score.value if score.value is not None else score.not_finite
    assert value is not None  # held by a constraint
    return ShownScore(
        score.metric,
        value,
        score.direction,
        score.num_samples,
        score.spread,
        evaluation.protocol,
        evaluation.steps,
        evaluation.solver,
        evaluation.guidance_scale,
        evaluation.forwards,
        evaluation.subject,
        evaluation.source,
        evaluation.is_complete,
    )


def compare(*, session: Session, a: str, b: str) -> Comparison:
    """Metrics, params, data and code of two artifacts (by their full content hashes)."""
    one, other = show(session=session, content=a), show(session=session, content=b)
    return Comparison(
        a,
        b,
        metrics=_metrics(one, other),
        params=_beside(one.params, other.params),
        data=_beside(_inputs(one), _inputs(other)),
        code=_beside(_code(one), _code(other)),
    )


def _beside(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = [*one, *(key for key in other if key not in one)]
    return {key: (one.get(key), other.get(key)) for key in keys}


def _metrics(one: Shown, other: Shown) -> dict[str, tuple[Any, Any]]:
    """Where both were sampled in one way under a protocol, side by side with the ways; else by the way too."""
    rows: dict[str, tuple[Any, Any]] = {}
    for protocol in dict.fromkeys(score.protocol for score in one.scores + other.scores):
        both = [[score for score in shown.scores if score.protocol == protocol] for shown in (one, other)]
        is_single = all(len({setting(score) for score in found}) == 1 for found in both)
        rows |= _beside(*(_metric_rows(protocol, found, is_single) for found in both))
    return rows


def _metric_rows(protocol: str, found: list[ShownScore], is_single: bool) -> dict[str, Any]:
    if not is_single:
        return {f"{protocol[:12]} {setting(score)} {score.metric}": score.value for score in found}
    sampler = {f"{protocol[:12]} sampled with": setting(found[0])}
    return sampler | {f"{protocol[:12]} {score.metric}": score.value for score in found}


def setting(score: ShownScore) -> str:
    """How a checkpoint was sampled, in short."""
    return f"{score.steps} steps {score.solver} w={score.guidance_scale:g}"


def _inputs(shown: Shown) -> dict[str, Any]:
    return {parent["relation"]: parent["content"] for parent in shown.parents}


def _code(shown: Shown) -> dict[str, Any]:
    """Of the last run that made it, as far as runs are known here."""
    runs = [event.details for event in shown.events if event.what == "run" and event.details["exit_code"] == 0]
    if not runs:
        return {"params": hash_json(shown.params)[:12]}
    last = runs[-1]
    keys = ("git_commit", "git_is_dirty", "device", "device_seconds", "flow_run_id")
    return {"params": hash_json(shown.params)[:12], **{key: last[key] for key in keys}}
