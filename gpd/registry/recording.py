"""Rows into the database, so that what is recorded twice, or by several at once, is there once.

Every function needs a writing transaction (`engine.writing`): each looks before it writes.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gpd.registry import tables as t
from gpd.registry.columns import Record

Rows = list[dict[str, Any]]
SAME_SETTING = ("checkpoint", "protocol", "solver", "steps", "guidance_scale")


def insert_missing(connection: Connection, model: type[Record], rows: Rows) -> int:
    """Adds the rows whose key is new and leaves the others as they are. Returns how many were new."""
    if not rows:
        return 0
    table = t.table_of(model)
    added = _insert(connection, table).on_conflict_do_nothing().returning(*table.primary_key)
    return len(connection.execute(added, rows).all())  # drivers do not count what many rows at once inserted


def insert_or_replace(connection: Connection, model: type[Record], rows: Rows) -> None:
    """Adds the rows; if the key is there, the new values take the place of the old."""
    if rows:
        table = t.table_of(model)
        statement = _insert(connection, table)
        new = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        keys = [column.name for column in table.primary_key]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), rows)


def _insert(connection: Connection, table: Table) -> Any:
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)


def record(connection: Connection, rows: Mapping[type[Record], Rows]) -> bool:
    """Records the content of one document of a workspace. Returns whether anything in it was new."""
    _name_parents(connection, rows)
    if t.Artifact in rows:
        return _record_manifest(connection, rows)
    added = {model: insert_missing(connection, model, rows[model]) for model in t.MODELS if model in rows}
    make_current(connection, rows.get(t.Evaluation, []))
    return any(added.get(model) for model in (t.Evaluation, t.Run))


def _name_parents(connection: Connection, rows: Mapping[type[Record], Rows]) -> None:
    """Artifacts that are referred to get a row of their content alone, unless they are known."""
    references = ((t.Lineage, "parent"), (t.Evaluation, "checkpoint"), (t.RunOutput, "content"), (t.Checkpoint, "base"))
    contents = {row[column] for model, column in references for row in rows.get(model, []) if row[column]}
    contents -= {row["content"] for row in rows.get(t.Artifact, [])}
    stubs = [t.checked(t.Artifact, content=content, kind=t.UNKNOWN) for content in sorted(contents)]
    insert_missing(connection, t.Artifact, [stub.model_dump() for stub in stubs])


def _record_manifest(connection: Connection, rows: Mapping[type[Record], Rows]) -> bool:
    """The manifest read last counts: the same bytes may come from settings that differ in name only."""
    (artifact,) = rows[t.Artifact]
    table, content = t.table_of(t.Artifact), artifact["content"]
    known = connection.execute(select(table.c.manifest_hash).where(table.c.content == content)).scalar_one_or_none()
    if known != artifact["manifest_hash"]:
        insert_or_replace(connection, t.Artifact, [artifact])
        insert_or_replace(connection, t.Checkpoint, rows.get(t.Checkpoint, []))
        connection.execute(delete(t.table_of(t.Param)).where(t.table_of(t.Param).c.content == content))
        connection.execute(delete(t.table_of(t.Lineage)).where(t.table_of(t.Lineage).c.child == content))
        insert_missing(connection, t.Param, rows.get(t.Param, []))
        insert_missing(connection, t.Lineage, rows.get(t.Lineage, []))
    _record_locations(connection, rows.get(t.Location, []))
    return bool(known != artifact["manifest_hash"])


def _record_locations(connection: Connection, locations: Rows) -> None:
    """A location without an MD5 takes nothing from one that has it: dvc.lock is written after the manifest."""
    insert_missing(connection, t.Location, [row for row in locations if row["dvc_md5"] is None])
    insert_or_replace(connection, t.Location, [row for row in locations if row["dvc_md5"] is not None])


def make_current(connection: Connection, evaluations: Rows) -> None:
    """New results of a checkpoint, sampler and protocol take the place of the old ones, which are kept."""
    table = t.table_of(t.Evaluation)
    is_same_setting = [table.c[name] == bindparam(f"the_{name}") for name in SAME_SETTING]
    retire = update(table).where(*is_same_setting, table.c.id != bindparam("the_id"), table.c.is_current)
    restore = update(table).where(table.c.id == bindparam("the_id"), ~table.c.is_current)
    keys = [{f"the_{name}": row[name] for name in ("id", *SAME_SETTING)} for row in evaluations]
    for key in keys:  # one after the other: of two for the same setting the last one counts
        connection.execute(retire.values(is_current=False), key)
        connection.execute(restore.values(is_current=True), key)
