"""Connections: which database, how it is opened, what its errors mean to a person."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from gpd.artifacts import DamagedError, UserError
from gpd.registry.secrets import HIDDEN, is_broken_url, is_secret, mask_passwords, only_scheme

DEFAULT = "registry.db"
BUSY_TIMEOUT_SECONDS = 30.0
WRITES = "gpd_writes"  # execution option of a connection that is going to write
BEGIN = {  # how a transaction that reads begins, and one that writes: one at a time on either database
    "sqlite": ("BEGIN", "BEGIN IMMEDIATE"),
    "postgresql": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SELECT pg_advisory_xact_lock(1735418881)",  # any number that nobody else locks
    ),
}
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def registry_url(url: str | None = None) -> URL:
    """The database to use: `url`, else GPD_REGISTRY_URL, else registry.db in the workspace. A bare path is SQLite.

    Raises:
        UserError: it is not a URL; what it says is not repeated.
    """
    text = url or os.environ.get("GPD_REGISTRY_URL") or DEFAULT
    if "://" not in text and not is_broken_url(text):
        return URL.create("sqlite", database=text)
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        raise UserError(f"registry URL {only_scheme(text)!r}: not a database URL") from None
    return parsed.set(drivername=DRIVERS.get(parsed.get_backend_name(), parsed.drivername))


def shown(url: URL) -> str:
    """The URL as it may be printed, by whoever prints one: a path for SQLite, nothing secret for others."""
    is_path = url.get_backend_name() == "sqlite"
    return mask_passwords(str(url.database) if is_path else url.render_as_string(hide_password=True))


def _secrets(url: URL) -> list[str]:
    """The values that are not to be seen, as they are and as they stand in a URL; longest first."""
    values = [
        str(url.password or ""),
        *(part for key, found in url.normalized_query.items() if is_secret(key) for part in found),
    ]
    return sorted(
        {form for value in values for form in (value, quote(value, safe=""), quote_plus(value)) if form}, key=len
    )[::-1]


def make_engine(url: URL, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Engine:
    """An engine for SQLite or PostgreSQL; each transaction opens a connection and closes it.

    Raises:
        UserError: another database, or the driver is not installed.
    """
    if (name := url.get_backend_name()) not in BEGIN:
        raise UserError(f"registry URL {shown(url)}: unknown database {name!r}; SQLite or PostgreSQL")
    try:
        engine = sqlalchemy.create_engine(url, hide_parameters=True, poolclass=NullPool)
    except ModuleNotFoundError as error:
        install = "pip install 'gpd[postgresql]'"
        raise UserError(f"registry URL {shown(url)}: the driver {error.name} is not installed; {install}") from None
    if name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: _set_up_sqlite(connection, busy_timeout_seconds))
    event.listen(engine, "begin", _begin)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, busy_timeout_seconds: float) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_seconds * 1000)}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # aliases and remarks stand nowhere else; 1 ms a transaction
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with contextlib.suppress(sqlite3.OperationalError):  # a read-only or busy file works without
            connection.execute("PRAGMA journal_mode = WAL")


def _begin(connection: Connection) -> None:
    """A writer takes its lock at once: one that reads first and then writes would fail instead of waiting."""
    to_read, to_write = BEGIN[connection.dialect.name]
    connection.exec_driver_sql(to_write if connection.get_execution_options().get(WRITES) else to_read)


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that waits for its turn to write, and is committed whole or not at all."""
    with _in_words(engine.url), engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database, whatever others write meanwhile."""
    must_exist(engine.url)
    with _in_words(engine.url), engine.connect() as connection, connection.begin():
        yield connection


def must_exist(url: URL) -> None:
    """Refuses to open a SQLite file that is not there: SQLite itself would make an empty one."""
    name = url.database or ":memory:"
    if url.get_backend_name() == "sqlite" and not name.startswith((":memory:", "file:")) and not Path(name).is_file():
        raise UserError(f"{name}: no registry here; `gpd registry sync` makes one")


@contextlib.contextmanager
def _in_words(url: URL) -> Iterator[None]:
    """Turns an error of the database into one line for a person, without the password."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, sqlite3.Warning) as error:  # several statements at once are a warning
        text = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in _secrets(url):
            text = text.replace(secret, HIDDEN)
        text = mask_passwords(text)
        meaning = next((meaning for sign, meaning in _MEANINGS.items() if sign in text), None)
        raise UserError(f"{shown(url)}: {f'{meaning} ({text})' if meaning else text}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DamagedError(f"{shown(url)}: a value cannot be read ({error}); `gpd registry verify` names it") from None


_MEANINGS: dict[str, str] = {
    "database is locked": "another process has held the database for too long; try again when it has finished",
    "readonly database": "the database is read-only; nothing was recorded",
    "file is not a database": "this is not an SQLite database",
    "disk image is malformed": "the database is damaged; move it away and run `gpd registry sync` to rebuild it, then "
    "`gpd registry import` for the aliases and remarks of an export",
    "unable to open database file": "the file cannot be opened or made",
    "database or disk is full": "the disk is full; nothing was recorded",
}
