"""The rows that a document states against those that the database holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from gpd.registry import tables as t
from gpd.registry.columns import Record

Values = list[dict[str, Any]]  # of one table
Rows = dict[type[Record], Values]
PARTS: dict[type[Record], tuple[type[Record], ...]] = {  # what is recorded whole, and its rows in other tables
    t.Protocol: (),
    t.Artifact: (t.Checkpoint, t.Param, t.Lineage),
    t.Evaluation: (t.Score,),
    t.Run: (t.RunOutput,),
}
CHANGE_LATER = {"is_current", "dvc_md5"}  # by what others record


@dataclass(frozen=True)
class WrongRow:
    """A row that is not what was recorded."""

    table: str
    key: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.wrong}"


def owner(model: type[Record]) -> Any:
    """The column by which rows belong together: the first of the key, which is the hash or number of a whole."""
    return next(iter(t.table_of(model).primary_key.columns))


def known(connection: Connection, model: type[Record], rows: Values) -> set[str]:
    """The wholes among the rows' that the database has; an artifact that others merely refer to is none of them."""
    column = owner(model)
    statement = select(column).where(column.in_({row[column.name] for row in rows}))
    if model is t.Artifact:
        statement = statement.where(column.table.c.manifest_hash.is_not(None))
    return set(connection.execute(statement).scalars())


def differences(connection: Connection, rows: Rows) -> Iterator[WrongRow]:
    """What the database holds otherwise, has too much or lacks, of all in `rows` that it knows."""
    for whole, parts in PARTS.items():
        if owners := known(connection, whole, rows.get(whole, [])):
            for model in (whole, *parts):
                yield from _differ(connection, model, owners, rows.get(model, []))


def _differ(connection: Connection, model: type[Record], owners: set[str], rows: Values) -> Iterator[WrongRow]:
    given = _by_key(model, [row for row in rows if row[owner(model).name] in owners])
    name = t.table_of(model).name
    try:
        found = connection.execute(select(t.table_of(model)).where(owner(model).in_(owners))).mappings().all()
    except (ValueError, OperationalError) as error:
        yield WrongRow(name, shown(min(owners)), unreadable(error))
        return
    stored = _by_key(model, [dict(row) for row in found])
    for key in sorted(given.keys() | stored.keys(), key=str):
        if key not in stored:
            yield WrongRow(name, shown(*key), "is missing")
        elif key not in given:
            yield WrongRow(name, shown(*key), "was never recorded")
        else:
            for column, value in given[key].items():
                if column not in CHANGE_LATER and stored[key][column] != value:
                    yield WrongRow(name, shown(*key), f"{column} is {stored[key][column]!r:.60}, not {value!r:.60}")


def _by_key(model: type[Record], rows: Values) -> dict[tuple[Any, ...], dict[str, Any]]:
    names = [column.name for column in t.table_of(model).primary_key.columns]
    return {tuple(row[name] for name in names): row for row in rows}


def unreadable(error: Exception) -> str:
    """What is wrong with a row that has a time, a JSON value or UTF-8 that is none."""
    return f"cannot be read ({' '.join(str(error).split()):.80})"


def shown(*key: Any) -> str:
    """A row's key, hashes in short."""
    return " ".join(f"{part!s:.12}" for part in key)
