"""Rows into the database, so that what is recorded twice, or by several at once, is there once.

Every function needs a writing transaction (`engine.writing`): each looks before it writes.
"""

from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gpd.registry import tables as t
from gpd.registry.columns import Record
from gpd.registry.recorded import PARTS, Rows, Values, differences, owner

SAME_SETTING = ("checkpoint", "protocol", "solver", "steps", "guidance_scale")
REFERENCES = ((t.Lineage, "parent"), (t.Evaluation, "checkpoint"), (t.RunOutput, "content"), (t.Checkpoint, "base"))


def insert_missing(connection: Connection, model: type[Record], rows: Values) -> int:
    """Adds the rows whose key is new and leaves the others as they are. Returns how many were new."""
    if not rows:
        return 0
    table = t.table_of(model)
    added = _insert(connection, table).on_conflict_do_nothing().returning(*table.primary_key)
    return len(connection.execute(added, rows).all())  # drivers do not count what many rows at once inserted


def insert_or_replace(connection: Connection, model: type[Record], rows: Values, *, only: Any = None) -> None:
    """Adds the rows; if the key is there, the new values take the place of the old (if `only` holds)."""
    if rows:
        table = t.table_of(model)
        statement = _insert(connection, table)
        new = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
        keys = [column.name for column in table.primary_key]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new, where=only), rows)


def _insert(connection: Connection, table: Table) -> Any:
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)


def record(connection: Connection, rows: Rows) -> bool:
    """Records the content of one document of a workspace, again if the database has come to hold something else of it.

    Returns whether anything in it was new.
    """
    _name_parents(connection, rows)
    if t.Artifact in rows:
        return _record_manifest(connection, rows)
    if is_damaged := next(differences(connection, rows), None) is not None:
        _record_again(connection, rows)
    added = {model: insert_missing(connection, model, rows[model]) for model in t.MODELS if model in rows}
    make_current(connection, rows.get(t.Evaluation, []))
    return is_damaged or any(added.get(model) for model in (t.Evaluation, t.Run))


def _record_again(connection: Connection, rows: Rows) -> None:
    """Puts the rows in the place of whatever the database holds of them."""
    for whole, parts in PARTS.items():
        owners = {row[owner(whole).name] for row in rows.get(whole, [])}
        for model in parts:
            connection.execute(delete(t.table_of(model)).where(owner(model).in_(owners)))
        insert_or_replace(connection, whole, rows.get(whole, []))
        for model in parts:
            insert_missing(connection, model, rows.get(model, []))


def _name_parents(connection: Connection, rows: Rows) -> None:
    """Artifacts that are referred to get a row of their content alone, unless they are known."""
    contents = {row[column] for model, column in REFERENCES for row in rows.get(model, []) if row[column]}
    contents -= {row["content"] for row in rows.get(t.Artifact, [])}
    stubs = [t.checked(t.Artifact, content=content, kind=t.UNKNOWN) for content in sorted(contents)]
    insert_missing(connection, t.Artifact, [stub.model_dump() for stub in stubs])


def _record_manifest(connection: Connection, rows: Rows) -> bool:
    """The manifest read last counts: the same bytes may come from settings that differ in name only."""
    (artifact,) = rows[t.Artifact]
    table, content = t.table_of(t.Artifact), artifact["content"]
    known = connection.execute(select(table.c.manifest_hash).where(table.c.content == content)).scalar_one_or_none()
    is_new = known != artifact["manifest_hash"] or next(differences(connection, rows), None) is not None
    if is_new:
        _record_again(connection, rows)
    _record_locations(connection, rows.get(t.Location, []))
    return is_new


def _record_locations(connection: Connection, locations: Values) -> None:
    """A location without an MD5 takes nothing from one that has it: dvc.lock is written after the manifest."""
    insert_missing(connection, t.Location, [row for row in locations if row["dvc_md5"] is None])
    insert_or_replace(connection, t.Location, [row for row in locations if row["dvc_md5"] is not None])


def make_current(connection: Connection, evaluations: Values) -> None:
    """New results of a checkpoint, sampler and protocol take the place of the old ones, which are kept."""
    table = t.table_of(t.Evaluation)
    is_same_setting = [table.c[name] == bindparam(f"the_{name}") for name in SAME_SETTING]
    retire = update(table).where(*is_same_setting, table.c.id != bindparam("the_id"), table.c.is_current)
    restore = update(table).where(table.c.id == bindparam("the_id"), ~table.c.is_current)
    keys = [{f"the_{name}": row[name] for name in ("id", *SAME_SETTING)} for row in evaluations]
    for key in keys:  # one after the other: of two for the same setting the last one counts
        connection.execute(retire.values(is_current=False), key)
        connection.execute(restore.values(is_current=True), key)
