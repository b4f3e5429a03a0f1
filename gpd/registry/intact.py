"""Whether the rows are what was recorded: a flipped bit inside a value may leave the database's pages well-formed.

No column is needed for it. Evaluations with their scores, protocols, promotions and remarks are named by a hash of what
they say; artifacts say their settings, facts and teacher twice; and the sealed documents of a workspace say all of it
once more.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, case, func, select
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from gpd.artifacts import DamagedError, hash_json
from gpd.documents import flatten
from gpd.params import PARAMS_FILE, load_params
from gpd.registry import tables as t
from gpd.registry.columns import Record
from gpd.registry.documents import comparable, evaluation_id, read_workspace
from gpd.registry.recorded import Values, WrongRow, differences, owner, shown
from gpd.registry.recording import SAME_SETTING

MENDED_BY = (
    "`gpd registry sync` records it again where its document is; else export what is whole, sync into a new registry "
    "and import"
)
SAID_LATER: tuple[dict[str, Any], ...] = (
    {},
    {"is_forced": False},
    {"is_forced": False, "is_protected": False},
    {"kind": "remark"},
)
Row = dict[str, Any]
Check = Callable[[Connection, Row], Iterator[str]]


def check_rows(session: Session, workspace: Path = Path()) -> Iterator[WrongRow]:
    """Every row that is not what was recorded, as far as that can be said here; the same row may come twice."""
    connection = session.connection()
    for model, check in CHECKS.items():
        for row in _each(connection, model):
            if isinstance(row, WrongRow):
                yield row
                continue
            key = shown(row[owner(model).name])
            yield from (WrongRow(t.table_of(model).name, key, wrong) for wrong in check(connection, row))
    yield from _current_twice(connection)
    yield from _strangers(connection)
    yield from _against_documents(connection, workspace)


def check_evaluations(session: Session, checkpoint: str) -> None:
    """Refuses what was measured of a checkpoint if its rows are not what was recorded.

    Raises:
        DamagedError: an evaluation is not named by the hash of what it says.
    """
    table, connection = t.table_of(t.Evaluation), session.connection()
    for row in connection.execute(select(table).where(table.c.checkpoint == checkpoint)).mappings():
        for wrong in _evaluation(connection, dict(row)):
            raise DamagedError(f"registry: evaluation {shown(row['id'])}: {wrong}; {MENDED_BY}")


def _each(connection: Connection, model: type[Record]) -> Iterator[Row | WrongRow]:
    """One after the other, so that a row that cannot be read is named and hides no other."""
    table, key = t.table_of(model), owner(model)
    for value in connection.execute(select(key)).scalars().all():
        try:
            yield dict(connection.execute(select(table).where(key == value)).mappings().one())
        except (ValueError, OperationalError) as error:
            yield WrongRow(table.name, shown(value), f"cannot be read ({' '.join(str(error).split())[:80]})")


def _rows_of(connection: Connection, model: type[Record], value: str) -> Values:
    found = connection.execute(select(t.table_of(model)).where(owner(model) == value))
    return [dict(row) for row in found.mappings()]


# --- rows by themselves


def _protocol(_: Connection, row: Row) -> Iterator[str]:
    yield from _named_by(row["hash"], row["fields"])
    for name, value in row.items():
        if name in row["fields"] and name != "hash" and row["fields"][name] != value:
            yield f"{name} is {value!r:.60}, its fields say {row['fields'][name]!r:.60}"


def _evaluation(connection: Connection, row: Row) -> Iterator[str]:
    scores = _rows_of(connection, t.Score, row["id"])
    said = ("protocol", "subject", "source", "checkpoint", "solver", "steps", "guidance_scale")
    kept = ("direction", "value", "not_finite", "num_samples", "spread")
    values = {score["metric"]: {name: score[name] for name in kept} for score in scores}
    yield from _named_by(row["id"], {**{name: row[name] for name in said}, "scores": values}, evaluation_id)
    for protocol in _rows_of(connection, t.Protocol, row["protocol"]):
        needed = protocol["num_prompts"] * len(protocol["seeds"])
        if row["is_complete"] != any(score["num_samples"] >= needed for score in scores):
            yield f"is_complete is {row['is_complete']}, its scores say otherwise"


def _signed(_: Connection, row: Row) -> Iterator[str]:
    """A promotion or remark; columns that came later are no part of an older one's hash, and have their default."""
    said = {name: value for name, value in row.items() if name not in ("id", "made_at")}
    said["made_at"] = row["made_at"].isoformat()
    forms = [later for later in SAID_LATER if later.items() <= said.items()]
    if row["id"] not in (hash_json({k: v for k, v in said.items() if k not in later}) for later in forms):
        yield "its id is not the hash of what it says"


def _named_by(name: str, said: Row, name_of: Callable[..., str] = lambda **said: hash_json(said)) -> Iterator[str]:
    try:
        is_named = name_of(**said) == name
    except (ValueError, TypeError):  # an infinite number
        is_named = False
    if not is_named:
        yield "its name is not the hash of what it says"


def _artifact(connection: Connection, row: Row) -> Iterator[str]:
    if row["manifest_hash"] is None:
        return
    settings = flatten(row["params"] or {}).items()
    given = {key: comparable(value) for key, value in settings if value != {}}
    stored = {param["key"]: param["value"] for param in _rows_of(connection, t.Param, row["content"])}
    wrong = sorted(key for key in given.keys() | stored.keys() if given.get(key) != stored.get(key))
    yield from (f"param {key} is {stored.get(key)!r:.60}, its manifest said {given.get(key)!r:.60}" for key in wrong)
    for checkpoint in _rows_of(connection, t.Checkpoint, row["content"]):
        yield from _checkpoint(checkpoint, row["facts"] or {})


def _checkpoint(row: Row, facts: Row) -> Iterator[str]:
    said = {name: value for name, value in facts.items() if name in row and name != "forwards"}
    if isinstance(costs := facts.get("forwards"), dict):
        said |= {"forwards_by_role": costs, "forwards": sum(costs.values())}
    for name, value in said.items():
        if row[name] != value:
            yield f"{name} is {row[name]!r:.60}, its facts say {value!r:.60}"


CHECKS: dict[type[Record], Check] = {
    t.Protocol: _protocol,
    t.Artifact: _artifact,
    t.Evaluation: _evaluation,
    t.Promotion: _signed,
    t.Remark: _signed,
}


# --- rows beside each other, and beside the documents


def _current_twice(connection: Connection) -> Iterator[WrongRow]:
    table = t.table_of(t.Evaluation)
    setting = [table.c[name] for name in SAME_SETTING]
    is_current = func.sum(case((table.c.is_current, 1), else_=0))
    for row in connection.execute(select(*setting, is_current.label("n")).group_by(*setting)).mappings():
        if row["n"] != 1:
            yield WrongRow("evaluation", shown(row["checkpoint"]), f"{row['n']} of one setting are the current one")


def _strangers(connection: Connection) -> Iterator[WrongRow]:
    """Rows that refer to none; PostgreSQL would not let one in, and has digests of its pages."""
    if connection.dialect.name == "sqlite":
        for table, number, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            yield WrongRow(table, f"row {number}", f"refers to no row of {parent}")


def _against_documents(connection: Connection, workspace: Path) -> Iterator[WrongRow]:
    if not (workspace / PARAMS_FILE).is_file():
        return
    for document in read_workspace(workspace, load_params(workspace / PARAMS_FILE).model.path):
        found = list(differences(connection, document.rows))
        if any(one.table == "artifact" and one.wrong.startswith("manifest_hash") for one in found) and len(found) > 1:
            continue  # another manifest of the same bytes: it was changed since the last sync
        yield from found
