"""Refuses an answer that would rest on a row which is not what was recorded.

More than the shown rows counts: a changed score lets another checkpoint win, and what is ranked may have lost its place
by one. So everything that was ranked, or would have been, is compared first, by one query a table.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, select, union
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from gpd.artifacts import DamagedError
from gpd.registry import tables as t
from gpd.registry.columns import Record
from gpd.registry.intact import (
    MENDED_BY,
    Row,
    current_twice,
    strangers,
    wrong_in_artifact,
    wrong_in_evaluation,
    wrong_in_protocol,
    wrong_in_signed,
)
from gpd.registry.recorded import WrongRow, owner, shown, unreadable


def check_ranked(session: Session, *, metric: str, steps: int, protocol: str | None) -> None:
    """Compares whatever `best` ranks, or would but for a change: what either the evaluations or their scores say is so.

    Args:
        protocol: a full hash, if the question is of one.

    Raises:
        DamagedError: an evaluation, a score, what says which is current, or a model's settings or facts is not as
            recorded.
    """
    evaluation, score = t.table_of(t.Evaluation), t.table_of(t.Score)
    by_itself = select(evaluation.c.id).where(evaluation.c.steps == steps)
    by_score = select(score.c.evaluation).where(score.c.metric == metric, score.c.steps == steps)
    if protocol is not None:
        by_itself, by_score = (
            by_itself.where(evaluation.c.protocol == protocol),
            by_score.where(score.c.protocol == protocol),
        )
    ids, connection = union(by_itself, by_score), session.connection()
    _refuse(_in_evaluations(connection, ids))
    _refuse(_in_artifacts(connection, select(evaluation.c.checkpoint).where(evaluation.c.id.in_(ids))))
    _refuse(strangers(connection, "location"))  # without a place it would count as never seen


def check_checkpoint(session: Session, content: str) -> None:
    """Compares an artifact's own rows and whatever was measured of it.

    Raises:
        DamagedError: one of them is not as recorded.
    """
    evaluation, artifact = t.table_of(t.Evaluation), t.table_of(t.Artifact)
    connection = session.connection()
    _refuse(_in_evaluations(connection, select(evaluation.c.id).where(evaluation.c.checkpoint == content)))
    _refuse(_in_artifacts(connection, select(artifact.c.content).where(artifact.c.content == content)))


def check_protocols(session: Session) -> None:
    """Compares all protocols with their names; there are few.

    Raises:
        DamagedError: one is not as recorded.
    """
    rows = _rows(session.connection(), t.Protocol, None)
    _refuse(WrongRow("protocol", shown(row["hash"]), wrong) for row in rows for wrong in wrong_in_protocol(row))


def check_promotions(session: Session) -> None:
    """Compares all promotions with their names: one that has lost its alias is missing from another's history.

    Raises:
        DamagedError: one is not as recorded.
    """
    rows = _rows(session.connection(), t.Promotion, None)
    _refuse(WrongRow("promotion", shown(row["id"]), wrong) for row in rows for wrong in wrong_in_signed(row))


def _refuse(found: Iterable[WrongRow]) -> None:
    for wrong in found:
        raise DamagedError(f"registry: {wrong}; `gpd registry verify` names all such rows; {MENDED_BY}")


def _in_evaluations(connection: Connection, ids: Any) -> Iterator[WrongRow]:
    scores = _by_owner(_rows(connection, t.Score, ids), "evaluation")
    protocols = {row["hash"]: row for row in _rows(connection, t.Protocol, None)}
    for row in _rows(connection, t.Evaluation, ids):
        for wrong in wrong_in_evaluation(row, scores[row["id"]], protocols.get(row["protocol"])):
            yield WrongRow("evaluation", shown(row["id"]), wrong)
    yield from current_twice(connection, t.table_of(t.Evaluation).c.id.in_(ids))


def _in_artifacts(connection: Connection, contents: Any) -> Iterator[WrongRow]:
    params = _by_owner(_rows(connection, t.Param, contents), "content")
    checkpoints = {row["content"]: row for row in _rows(connection, t.Checkpoint, contents)}
    artifacts = {row["content"]: row for row in _rows(connection, t.Artifact, contents)}
    for content in connection.execute(contents).scalars():
        if content not in artifacts:
            yield WrongRow("artifact", shown(content), "is missing")
    for content, row in artifacts.items():
        for wrong in wrong_in_artifact(row, params[content], checkpoints.get(content)):
            yield WrongRow("artifact", shown(content), wrong)


def _rows(connection: Connection, model: type[Record], owners: Any) -> list[Row]:
    """The rows of some wholes (a SELECT of their names), or all."""
    table = t.table_of(model)
    statement = select(table) if owners is None else select(table).where(owner(model).in_(owners))
    try:
        return [dict(row) for row in connection.execute(statement).mappings()]
    except (ValueError, OperationalError) as error:
        raise DamagedError(
            f"registry: a row of {table.name} {unreadable(error)}; `gpd registry verify` names it; {MENDED_BY}"
        ) from None


def _by_owner(rows: list[Row], column: str) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found
