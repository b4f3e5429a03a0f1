"""Questions to the registry: a query function each, and a class for what it answers (`best`, `lineage` lie beside it).

A new question is a function here and a command in `gpd/cli/registry.py`; the printer reads the fields of the answer.
`key` is what a person types: an alias, an abbreviated hash or a name.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, and_, case, true
from sqlmodel import Session, col, select

from gpd.artifacts import UserError, hash_json
from gpd.registry import tables as t
from gpd.registry.answers import JSON_ONLY, make_answer
from gpd.registry.best import Measured, best, current_scores, make_measured
from gpd.registry.finding import (
    CHECKPOINT_KINDS,
    SHORT,
    current_aliases,
    current_tags,
    description_of,
    find_artifact,
    locations_of,
)
from gpd.registry.guard import check_checkpoint, check_promotions
from gpd.registry.lineage import lineage
from gpd.registry.places import FoundCheckpoint, locate
from gpd.registry.protocols import choose_protocol
from gpd.registry.where import read_where

MOST = 1000  # relatives of one artifact
EVENTS = 200


@dataclass(frozen=True)
class Event:
    """Something that happened to an artifact: made by a run, promoted, demoted, described, tagged or remarked on."""

    at: datetime
    what: str
    who: str | None
    content: str | None
    text: str
    details: dict[str, Any] = field(default_factory=dict, metadata=JSON_ONLY)


@dataclass(frozen=True)
class Listed:
    """A row of the list of checkpoints."""

    content: str
    name: str | None
    role: str
    horizon: int | None
    sampling_steps: int | None
    forwards: int | None
    heads: int | None
    size_bytes: int | None
    aliases: list[str]
    tags: list[str]
    description: str | None
    paths: list[str]


class Checkpoints(list[Listed]):
    """Checkpoints. `is_cut`: there are more; `note`: which protocol was picked, if there was a choice."""

    def __init__(self, rows: Iterable[Listed], *, is_cut: bool, note: str | None = None) -> None:
        super().__init__(rows)
        self.is_cut, self.note = is_cut, note


@dataclass(frozen=True)
class Shown:
    """All that is recorded of one artifact.

    Attributes:
        is_known: false if others refer to it and its manifest was never seen.
        total_forwards: with those of everything that it descends from.
    """

    content: str
    kind: str
    name: str | None
    is_known: bool
    size_bytes: int | None
    num_files: int | None
    aliases: list[str]
    tags: list[str]
    description: str | None
    base: dict[str, Any] | None
    total_forwards: int
    locations: list[dict[str, Any]]
    parents: list[dict[str, Any]]
    children: list[dict[str, Any]]
    scores: list[Measured]
    params: dict[str, str]
    events: list[Event]
    checkpoint: dict[str, Any] | None = field(metadata=JSON_ONLY)
    facts: dict[str, Any] = field(metadata=JSON_ONLY)


Beside = dict[str, tuple[Any, Any]]  # key -> value of a, value of b; None if one has none


@dataclass(frozen=True)
class Comparison:
    """Two artifacts side by side.

    Metrics are keyed by protocol and metric, so that only what may be compared stands in one row.
    """

    a: str
    b: str
    metrics: Beside
    params: Beside
    data: Beside
    code: Beside


# --- which checkpoints are there?


def list_checkpoints(
    *,
    session: Session,
    role: str | None = None,
    steps: int | None = None,
    where: Sequence[str] = (),
    protocol: str | None = None,
    limit: int = 50,
    workspace: Path = Path(),
) -> Checkpoints:
    """Checkpoints by base model, horizon and name, at most `limit`.

    If `where` (see `gpd.registry.where`) names a metric, it is that of one protocol, which is picked as by `best`.

    Raises:
        UserError: `where` is not understood, or there is no such protocol.
    """
    statement = select(t.Checkpoint, t.Artifact).join(t.Artifact, col(t.Artifact.content) == col(t.Checkpoint.content))
    if role is not None:
        statement = statement.where(t.Checkpoint.role == role)
    if steps is not None:
        statement = statement.where(t.Checkpoint.sampling_steps == steps)
    note = None
    if where:
        matches, note = _matching(where, protocol, session, workspace)
        statement = statement.where(matches)
    family = (col(t.Checkpoint.role), col(t.Checkpoint.base), col(t.Checkpoint.horizon))
    ordered = statement.order_by(*family, col(t.Artifact.name), col(t.Checkpoint.content))
    rows = session.exec(ordered.limit(limit + 1)).all()
    owners, tags = current_aliases(session=session), current_tags(session=session)
    listed = [_listed(*row, owners, tags, session) for row in rows[:limit]]
    return Checkpoints(listed, is_cut=len(rows) > limit, note=note)


def _matching(
    where: Sequence[str], protocol: str | None, session: Session, workspace: Path
) -> tuple[ColumnElement[bool], str | None]:
    """Which checkpoints match as they were sampled and measured in one way, and the note on the protocol."""
    read, note = read_where(where, session), None
    is_measured = and_(
        col(t.Evaluation.checkpoint) == col(t.Checkpoint.content),
        col(t.Evaluation.is_current) == true(),
        col(t.Evaluation.is_complete) == true(),
    )
    if protocol is not None or read.metrics:
        chosen, note = choose_protocol(protocol, read.metrics, session, workspace)
        is_measured = and_(is_measured, col(t.Evaluation.protocol) == chosen)
    joined = select(t.Checkpoint.content).join(t.Artifact, col(t.Artifact.content) == col(t.Checkpoint.content))
    matching = joined.outerjoin(t.Evaluation, is_measured).where(*read.conditions).correlate(None)
    return col(t.Checkpoint.content).in_(matching), note


def _listed(
    checkpoint: t.Checkpoint,
    artifact: t.Artifact,
    owners: dict[str, str],
    tags: dict[str, set[str]],
    session: Session,
) -> Listed:
    content = checkpoint.content
    found: dict[str, Any] = {
        "heads": (artifact.facts or {}).get("heads"),
        "aliases": [alias for alias, owner in owners.items() if owner == content],
        "tags": [tag for tag, having in tags.items() if content in having],
        "description": description_of(content, session),
        "paths": [place.path for place in locations_of(content, session)],
    }
    return make_answer(Listed, checkpoint, artifact, **found)


# --- where are the files of one?


def find_checkpoint(
    spec: str, *, session: Session, exportable: bool = False, workspace: Path = Path()
) -> FoundCheckpoint:
    """The folder of a checkpoint: `champion` (an alias), `best:6`, an abbreviated hash, or `k8`.

    `best:STEPS:METRIC@PROTOCOL`: metric and protocol may be left out; which protocol was picked then is printed. With
    `exportable` the best is that of those which `gpd export` takes.

    Raises:
        UserError: nothing or more than one thing is meant, or its files are not in this workspace.
        DamagedError: a promotion, or a row by which the best was found, is not as recorded.
    """
    check_promotions(session)
    kinds: tuple[str, ...] | None = CHECKPOINT_KINDS
    if match := re.fullmatch(r"best:(\d{1,9})(?::([^@]+))?(?:@(.+))?", spec):
        steps, metric, protocol = int(match[1]), match[2] or "trajectory_error", match[3]
        asked: dict[str, Any] = {"steps": steps, "metric": metric, "protocol": protocol, "exportable": exportable}
        found = best(session=session, workspace=workspace, **asked)
        if found.note:
            print(f"gpd: {spec}: {found.note.replace('--protocol', f'{spec}@PROTOCOL')}", file=sys.stderr)
        if exportable and found.warning:
            print(f"gpd: {spec}: {found.warning}", file=sys.stderr)
        if found.is_tie:
            names = ", ".join(winner.content[:SHORT] for winner in found.winners)
            raise UserError(f"{spec}: a tie of {names}; name one of them")
        spec, kinds = found.winners[0].content, None
    artifact = find_artifact(key=spec, session=session, workspace=workspace, kinds=kinds)
    checkpoint = locate(artifact=artifact, session=session, workspace=workspace)
    places = [workspace / place.path for place in locations_of(artifact.content, session)]
    if artifact.name == spec and checkpoint.path not in places:
        print(f"gpd: {spec} is the one at {checkpoint.path}; `gpd registry sync` records a newer one", file=sys.stderr)
    return checkpoint


# --- what is recorded of one?


def show(*, session: Session, key: str) -> Shown:
    """One artifact in full.

    Raises:
        DamagedError: a row of it, or of what was measured of it, is not as recorded.
    """
    artifact = find_artifact(key=key, session=session)
    check_checkpoint(session, artifact.content)
    content, checkpoint = artifact.content, session.get(t.Checkpoint, artifact.content)
    return make_answer(
        Shown,
        artifact,
        is_known=artifact.manifest_hash is not None,
        checkpoint=checkpoint.model_dump() if checkpoint else None,
        base=_base(checkpoint.base, session) if checkpoint and checkpoint.base else None,
        facts=artifact.facts or {},
        params=params_of(content, session),
        locations=[place.model_dump(exclude={"content"}) for place in locations_of(content, session)],
        aliases=[alias for alias, owner in current_aliases(session=session).items() if owner == content],
        tags=[tag for tag, having in current_tags(session=session).items() if content in having],
        description=description_of(content, session),
        parents=relatives(content, session, upwards=True),
        children=relatives(content, session, upwards=False),
        scores=scores(session=session, content=content),
        total_forwards=lineage(session=session, key=content).forwards,
        events=_events(session, content, EVENTS),
    )


def _base(content: str, session: Session) -> dict[str, Any]:
    rows = session.get(t.Artifact, content), session.get(t.Checkpoint, content)
    found = {key: value for row in rows if row for key, value in row.model_dump().items()}
    return {key: found.get(key) for key in ("content", "name", "repository", "revision")}


def params_of(content: str, session: Session) -> dict[str, str]:
    """The settings that determined an artifact."""
    rows = session.exec(select(t.Param).where(t.Param.content == content).order_by(t.Param.key))
    return {row.key: row.value for row in rows}


def relatives(content: str, session: Session, *, upwards: bool) -> list[dict[str, Any]]:
    """Parents (or children): relation, content, name and kind of each."""
    here, there = (t.Lineage.child, t.Lineage.parent) if upwards else (t.Lineage.parent, t.Lineage.child)
    kind = case((col(t.Artifact.kind) == t.UNKNOWN, t.Lineage.parent_kind), else_=t.Artifact.kind)  # a child is known
    columns = select(t.Lineage.relation, t.Artifact.content, t.Artifact.name, kind.label("kind"))
    joined = columns.join(t.Artifact, col(t.Artifact.content) == col(there)).where(here == content)
    ordered = joined.order_by(t.Lineage.relation, t.Artifact.content).limit(MOST)
    return [dict(row) for row in session.connection().execute(ordered).mappings()]


def scores(*, session: Session, content: str) -> list[Measured]:
    """Every current score of a checkpoint (by its full hash), by protocol, steps and metric."""
    of_it = current_scores().where(t.Evaluation.checkpoint == content)
    order = (t.Evaluation.protocol, col(t.Evaluation.steps), t.Evaluation.subject, t.Score.metric)
    return [make_measured(*row) for row in session.exec(of_it.order_by(*order))]


# --- what happened?


def history(*, session: Session, key: str | None = None, limit: int = EVENTS) -> list[Event]:
    """The last `limit` things that happened, oldest first: to one alias, to one artifact, or to everything."""
    if key is None:
        return _events(session, None, limit)
    of_alias = select(t.Promotion).where(t.Promotion.alias == key).order_by(col(t.Promotion.made_at).desc())
    events = [_promotion_event(promotion) for promotion in session.exec(of_alias.limit(limit))]
    return events[::-1] or _events(session, find_artifact(key=key, session=session).content, limit)


def _events(session: Session, content: str | None, limit: int) -> list[Event]:
    promotions = select(t.Promotion).order_by(col(t.Promotion.made_at).desc()).limit(limit)
    remarks = select(t.Remark).order_by(col(t.Remark.made_at).desc()).limit(limit)
    runs = select(t.Run).order_by(col(t.Run.started).desc()).limit(limit)
    if content is not None:
        held = select(t.Promotion.alias).where(t.Promotion.content == content)
        promotions = promotions.where(col(t.Promotion.alias).in_(held))  # also when it passed on to another
        remarks = remarks.where(t.Remark.content == content)
        runs = runs.where(col(t.Run.id).in_(select(t.RunOutput.run).where(t.RunOutput.content == content)))
    events = [_promotion_event(row) for row in session.exec(promotions)]
    events += [Event(row.made_at, row.kind, row.made_by, row.content, row.text) for row in session.exec(remarks)]
    events += [_run_event(row, content) for row in session.exec(runs)]
    return sorted(events, key=lambda event: event.at)[-limit:]


def _promotion_event(promotion: t.Promotion) -> Event:
    what = f"-> {promotion.content[:SHORT]}" if promotion.content else "withdrawn"
    marks = " by force" * promotion.is_forced + ", protected" * promotion.is_protected
    text = f"{promotion.alias} {what}{marks}: {promotion.because}"
    details = promotion.model_dump(include={"alias", "because", "is_protected", "is_forced"})
    return Event(promotion.made_at, "promotion", promotion.made_by, promotion.content, text, details)


def _run_event(run: t.Run, content: str | None) -> Event:
    outcome = "finished" if run.exit_code == 0 else f"failed ({run.error})"
    keys = {"id", "stage", "git_commit", "git_is_dirty", "device", "device_seconds", "exit_code", "flow_run_id"}
    return Event(run.started, "run", run.host, content, f"{run.stage} {outcome}", run.model_dump(include=keys))


# --- how do two differ?


def compare(*, session: Session, a: str, b: str) -> Comparison:
    """Metrics, params, data and code of two artifacts (keys)."""
    both = show(session=session, key=a), show(session=session, key=b)
    return Comparison(
        a=both[0].content,
        b=both[1].content,
        metrics=_metrics(both),
        params=_beside(shown.params for shown in both),
        data=_beside({parent["relation"]: parent["content"] for parent in shown.parents} for shown in both),
        code=_beside(map(_code, both)),
    )


def _beside(both: Iterable[dict[str, Any]]) -> Beside:
    one, other = both
    return {key: (one.get(key), other.get(key)) for key in one | other}


def _metrics(both: tuple[Shown, Shown]) -> Beside:
    """If both were sampled in one way under a protocol, side by side with the ways; else by the way too."""
    rows: Beside = {}
    for protocol in dict.fromkeys(score.protocol for shown in both for score in shown.scores):
        found = [[score for score in shown.scores if score.protocol == protocol] for shown in both]
        is_single = all(len({score.setting for score in some}) == 1 for some in found)
        rows |= _beside(_metric_rows(protocol[:SHORT], some, is_single) for some in found)
    return rows


def _metric_rows(protocol: str, found: list[Measured], is_single: bool) -> dict[str, Any]:
    if not is_single:
        return {f"{protocol} {score.setting} {score.metric}": score.value for score in found}
    sampler = {f"{protocol} sampled with": found[0].setting}
    return sampler | {f"{protocol} {score.metric}": score.value for score in found}


def _code(shown: Shown) -> dict[str, Any]:
    """Of the last run that made it, if one is recorded."""
    runs = [event.details for event in shown.events if event.what == "run" and event.details["exit_code"] == 0]
    keys = ("git_commit", "git_is_dirty", "device", "device_seconds", "flow_run_id")
    last = {key: runs[-1][key] for key in keys} if runs else {}
    return {"params": hash_json(shown.params)[:SHORT], **last}
