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

from gpd.artifacts import hash_json
from gpd.documents import flatten
from gpd.params import PARAMS_FILE, load_params
from gpd.registry import tables as t
from gpd.registry.columns import Record
from gpd.registry.documents import comparable, evaluation_id, read_workspace
from gpd.registry.finding import CHECKPOINT_KINDS
from gpd.registry.recorded import Values, WrongRow, differences, owner, shown, unreadable
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
    yield from current_twice(connection)
    yield from strangers(connection)
    yield from _against_documents(connection, workspace)


def _each(connection: Connection, model: type[Record]) -> Iterator[Row | WrongRow]:
    """One after the other, so that a row that cannot be read is named and hides no other."""
    table, key = t.table_of(model), owner(model)
    for value in connection.execute(select(key)).scalars().all():
        try:
            yield dict(connection.execute(select(table).where(key == value)).mappings().one())
        except (ValueError, OperationalError) as error:
            yield WrongRow(table.name, shown(value), unreadable(error))


def _rows_of(connection: Connection, model: type[Record], value: str) -> Values:
    found = connection.execute(select(t.table_of(model)).where(owner(model) == value))
    return [dict(row) for row in found.mappings()]


# --- rows by themselves


def wrong_in_protocol(row: Row) -> Iterator[str]:
    """Whether a protocol is named by the hash of its fields, and its columns say the same."""
    yield from _named_by(row["hash"], row["fields"])
    for name, value in row.items():
        if name in row["fields"] and name != "hash" and row["fields"][name] != value:
            yield f"{name} is {value!r:.60}, its fields say {row['fields'][name]!r:.60}"


def wrong_in_evaluation(row: Row, scores: Values, protocol: Row | None) -> Iterator[str]:
    """Whether an evaluation is named by the hash of what it and its scores say, and its scores are of it."""
    said = ("protocol", "subject", "source", "checkpoint", "solver", "steps", "guidance_scale")
    kept = ("direction", "value", "not_finite", "num_samples", "spread")
    values = {score["metric"]: {name: score[name] for name in kept} for score in scores}
    yield from _named_by(row["id"], {**{name: row[name] for name in said}, "scores": values}, evaluation_id)
    for score in scores:
        if (score["protocol"], score["steps"]) != (row["protocol"], row["steps"]):
            yield f"its {score['metric']} is of another protocol or number of steps"
    if protocol is not None:
        needed = protocol["num_prompts"] * len(protocol["seeds"])
        if row["is_complete"] != any(score["num_samples"] >= needed for score in scores):
            yield f"is_complete is {row['is_complete']}, its scores say otherwise"


def wrong_in_signed(row: Row) -> Iterator[str]:
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


def wrong_in_artifact(row: Row, params: Values, checkpoint: Row | None) -> Iterator[str]:
    """Whether an artifact's rows in other tables say what its settings and facts do."""
    if row["manifest_hash"] is None:
        return
    settings = flatten(row["params"] or {}).items()
    given = {key: comparable(value) for key, value in settings if value != {}}
    stored = {param["key"]: param["value"] for param in params}
    wrong = sorted(key for key in given.keys() | stored.keys() if given.get(key) != stored.get(key))
    yield from (f"param {key} is {stored.get(key)!r:.60}, its manifest said {given.get(key)!r:.60}" for key in wrong)
    if (role := checkpoint and checkpoint["role"]) != (row["kind"] if row["kind"] in CHECKPOINT_KINDS else None):
        yield f"kind is {row['kind']!r:.60}, as a checkpoint it is {role!r:.60}"
    if checkpoint is not None:
        yield from _wrong_in_checkpoint(checkpoint, row["facts"] or {})


def _wrong_in_checkpoint(row: Row, facts: Row) -> Iterator[str]:
    said = {name: value for name, value in facts.items() if name in row and name != "forwards"}
    if isinstance(costs := facts.get("forwards"), dict):
        said |= {"forwards_by_role": costs, "forwards": sum(costs.values())}
    for name, value in said.items():
        if row[name] != value:
            yield f"{name} is {row[name]!r:.60}, its facts say {value!r:.60}"


def _evaluation(connection: Connection, row: Row) -> Iterator[str]:
    protocols = _rows_of(connection, t.Protocol, row["protocol"])
    yield from wrong_in_evaluation(row, _rows_of(connection, t.Score, row["id"]), next(iter(protocols), None))


def _artifact(connection: Connection, row: Row) -> Iterator[str]:
    checkpoints = _rows_of(connection, t.Checkpoint, row["content"])
    yield from wrong_in_artifact(row, _rows_of(connection, t.Param, row["content"]), next(iter(checkpoints), None))


CHECKS: dict[type[Record], Check] = {
    t.Protocol: lambda _, row: wrong_in_protocol(row),
    t.Artifact: _artifact,
    t.Evaluation: _evaluation,
    t.Promotion: lambda _, row: wrong_in_signed(row),
    t.Remark: lambda _, row: wrong_in_signed(row),
}


# --- rows beside each other, and beside the documents


def current_twice(connection: Connection, *which: Any) -> Iterator[WrongRow]:
    """Settings of which not one evaluation is the current one, among the evaluations of these conditions."""
    table = t.table_of(t.Evaluation)
    setting = [table.c[name] for name in SAME_SETTING]
    is_current = func.sum(case((table.c.is_current, 1), else_=0))
    statement = select(*setting, is_current.label("n")).where(*which).group_by(*setting)
    for row in connection.execute(statement).mappings():
        if row["n"] != 1:
            yield WrongRow("evaluation", shown(row["checkpoint"]), f"{row['n']} of one setting are the current one")


def strangers(connection: Connection, table: str = "") -> Iterator[WrongRow]:
    """Rows, of one table or all, that refer to none; PostgreSQL would not let one in, and has digests of its pages."""
    if connection.dialect.name == "sqlite":
        which = f"({table})" if table else ""
        for name, number, parent, _ in connection.exec_driver_sql(f"PRAGMA foreign_key_check{which}"):
            yield WrongRow(name, f"row {number}", f"refers to no row of {parent}")


def _against_documents(connection: Connection, workspace: Path) -> Iterator[WrongRow]:
    if not (workspace / PARAMS_FILE).is_file():
        return
    for document in read_workspace(workspace, load_params(workspace / PARAMS_FILE).model.path):
        found = list(differences(connection, document.rows))
        if any(one.table == "artifact" and one.wrong.startswith("manifest_hash") for one in found) and len(found) > 1:
            continue  # another manifest of the same bytes: it was changed since the last sync
        yield from found
