"""The registry as JSON lines, out and in: a backup, a move between databases, a merge of two."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, select

from gpd.artifacts import UserError
from gpd.documents import first_mistake
from gpd.registry import tables as t
from gpd.registry.columns import Record
from gpd.registry.engine import make_engine, registry_url, shown, writing
from gpd.registry.recorded import Values
from gpd.registry.recording import SAME_SETTING, insert_missing, insert_or_replace
from gpd.registry.schema import HEAD, REVISIONS, create_or_check

ROWS_AT_ONCE = 500
BY_NAME = {t.table_of(model).name: model for model in t.MODELS}


class Header(BaseModel):
    """The first line of an export; the revision is that of the registry that it is of."""

    format: Literal[1]
    revision: Literal[REVISIONS]  # type: ignore[valid-type]


class Line(BaseModel):
    """Each of the others."""

    table: Literal[tuple(BY_NAME)]  # type: ignore[valid-type]
    row: dict[str, Any]


@dataclass
class Imported:
    """How many rows were read, and how many of them were new."""

    url: str
    new: int = 0
    read: int = 0


def export_lines(connection: Connection) -> Iterator[str]:
    """One JSON object a line: a header, then every row as {"table", "row"}, in an order that depends on content only.

    A row refers only to rows before it. Two registries with the same content export the same bytes.
    """
    yield json.dumps(Header(format=1, revision=HEAD).model_dump())
    for model in t.MODELS:
        table = t.table_of(model)
        in_order = select(table).order_by(*table.primary_key.columns)
        for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(in_order).mappings():
            line = {"table": table.name, "row": dict(row)}
            yield json.dumps(line, ensure_ascii=False, sort_keys=True, default=datetime.isoformat)


def import_file(file: Path, url: str | None = None) -> Imported:
    """Adds the rows of an export that are not there yet; what is there stays. Nothing is kept if a line is wrong.

    Raises:
        UserError: a line is not of the export's form, with its number.
    """
    parsed = registry_url(url)
    with file.open(encoding="utf-8", errors="replace") as lines, writing(make_engine(parsed)) as connection:
        create_or_check(connection)
        return _import(connection, lines, str(file))


def _import(connection: Connection, lines: TextIO, name: str) -> Imported:
    result = Imported(shown(connection.engine.url))
    rows = _parsed(lines, name)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        result.read += len(batch)
        for model, some in groupby(batch, key=type):
            result.new += _add(connection, model, [row.model_dump() for row in some])
    return result


def _parsed(lines: TextIO, name: str) -> Iterator[Record]:
    with _at(f"{name}:1"):
        Header.model_validate_json(lines.readline())
    for number, text in enumerate(lines, start=2):
        with _at(f"{name}:{number}"):
            line = Line.model_validate_json(text)
            row = BY_NAME[line.table].model_validate(line.row)
        yield row


@contextmanager
def _at(where: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise UserError(f"{where}: {first_mistake(error)}; nothing was imported") from None


def _add(connection: Connection, model: type[Record], rows: Values) -> int:
    if model is t.Evaluation:
        rows = [{**row, "is_current": row["is_current"] and not _has_current(connection, row)} for row in rows]
    num_new = insert_missing(connection, model, rows)
    if model is t.Artifact:  # one that is known here only because others refer to it is filled in
        seen = [row for row in rows if row["manifest_hash"] is not None]
        insert_or_replace(connection, model, seen, only=t.table_of(model).c.manifest_hash.is_(None))
    return num_new


def _has_current(connection: Connection, row: dict[str, Any]) -> bool:
    table = t.table_of(t.Evaluation)
    same = [table.c[name] == row[name] for name in SAME_SETTING]
    found = connection.execute(select(table.c.id).where(*same, table.c.is_current, table.c.id != row["id"]).limit(1))
    return found.first() is not None
