"""A copy of the registry as an SQLite file, with the views of `gpd.registry.sql` beside its tables."""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from gpd.registry.engine import make_engine, reading, registry_url
from gpd.registry.exchange import export_lines, import_file
from gpd.registry.schema import check_revision
from gpd.registry.sql import VIEWS


def write_snapshot(file: Path, url: str | None = None) -> None:
    """Writes what a registry holds at this moment, from SQLite or PostgreSQL, and the views beside its tables.

    Raises:
        UserError: there is no registry, or it is of another revision.
    """
    with reading(make_engine(registry_url(url))) as connection:
        check_revision(connection)
        _COPIES[connection.dialect.name](connection, file)
    with closing(sqlite3.connect(file)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")  # a write-ahead log would be a second file
        for name, query in VIEWS.items():
            copy.execute(f"CREATE VIEW {name} AS {query}")
        copy.commit()


def _copy_sqlite(connection: Connection, file: Path) -> None:
    source = connection.connection.driver_connection
    assert isinstance(source, sqlite3.Connection)
    with closing(sqlite3.connect(file)) as copy:
        source.backup(copy)


def _copy_rows(connection: Connection, file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "registry.jsonl"
        with lines.open("w", encoding="utf-8") as export:
            export.writelines(f"{line}\n" for line in export_lines(connection))
        import_file(lines, str(file))


_COPIES: dict[str, Callable[[Connection, Path], None]] = {"sqlite": _copy_sqlite, "postgresql": _copy_rows}
