"""The registry as JSON lines, out and in: a backup, a move between databases, a merge of two."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError
from sqlalchemy import Connection, select

from gpd.artifacts import UserError
from gpd.documents import first_mistake
from gpd.registry import tables as t
from gpd.registry.columns import Record
from gpd.registry.recording import SAME_SETTING, Rows, insert_missing, insert_or_replace
from gpd.registry.schema import HEAD, REVISIONS

FORMAT = 1
ROWS_AT_ONCE = 500
BY_NAME = {t.table_of(model).name: model for model in t.MODELS}


def export_lines(connection: Connection) -> Iterator[str]:
    """One JSON object a line: a header, then every row as {"table", "row"}, in an order that depends on content only.

    A row refers only to rows before it. Two registries with the same content export the same bytes.
    """
    yield json.dumps({"format": FORMAT, "revision": HEAD})
    for model in t.MODELS:
        table = t.table_of(model)
        rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(
            select(table).order_by(*table.primary_key.columns)
        )
        for row in rows.mappings():
            values = {key: _plain(value) for key, value in row.items()}
            yield json.dumps({"table": table.name, "row": values}, ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def write_lines(out: Path, lines: Iterable[str]) -> None:
    """A file that is there whole or not at all."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def import_lines(connection: Connection, lines: TextIO, name: str) -> tuple[int, int]:
    """Adds the rows of an export that are not there yet; what is there stays. Returns how many were new and read.

    Needs a writing transaction: nothing is kept when a line is wrong. `name` is how messages call the file.

    Raises:
        UserError: a line is not of the export's form, with its number.
    """
    numbered = enumerate(lines, start=1)
    _check_header(next(numbered, (1, "")), name)
    num_new = num_read = 0
    parsed = (_parse(line, f"{name}:{number}") for number, line in numbered)
    while batch := list(islice(parsed, ROWS_AT_ONCE)):
        num_read += len(batch)
        for model, rows in groupby(batch, key=lambda line: line[0]):
            num_new += _add(connection, model, [row for _, row in rows])
    return num_new, num_read


def _check_header(numbered: tuple[int, str], name: str) -> None:
    header = _load(numbered[1], f"{name}:1")
    if header.get("format") != FORMAT:
        raise UserError(f"{name}:1: not an export of the registry (format {header.get('format')!r}, this gpd reads 1)")
    if header.get("revision") not in REVISIONS:
        raise UserError(f"{name}:1: revision {header.get('revision')!r} is newer than this gpd reads ({HEAD})")


def _load(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON ({error.msg}); nothing was imported") from None
    if not isinstance(value, dict):
        raise UserError(f"{where}: not an object; nothing was imported")
    return value


def _parse(line: str, where: str) -> tuple[type[Record], dict[str, Any]]:
    value = _load(line, where)
    if value.get("table") not in BY_NAME:
        raise UserError(f"{where}: table {value.get('table')!r} is unknown; nothing was imported")
    model = BY_NAME[value["table"]]
    try:
        return model, model.model_validate(value.get("row")).model_dump()
    except ValidationError as error:
        raise UserError(f"{where}: {first_mistake(error)}; nothing was imported") from None


def _add(connection: Connection, model: type[Record], rows: Rows) -> int:
    if model is t.Evaluation:
        rows = [{**row, "is_current": row["is_current"] and not _has_current(connection, row)} for row in rows]
    num_new = insert_missing(connection, model, rows)
    if model is t.Artifact:
        insert_or_replace(connection, t.Artifact, _known_here_by_name_only(connection, rows))
    return num_new


def _has_current(connection: Connection, row: dict[str, Any]) -> bool:
    table = t.table_of(t.Evaluation)
    same = [table.c[name] == row[name] for name in SAME_SETTING]
    found = connection.execute(select(table.c.id).where(*same, table.c.is_current, table.c.id != row["id"]).limit(1))
    return found.first() is not None


def _known_here_by_name_only(connection: Connection, rows: Rows) -> Rows:
    table = t.table_of(t.Artifact)
    whole = {row["content"]: row for row in rows if row["manifest_hash"] is not None}
    stubs = select(table.c.content).where(table.c.content.in_(list(whole)), table.c.manifest_hash.is_(None))
    return [whole[content] for content in connection.execute(stubs).scalars()]
