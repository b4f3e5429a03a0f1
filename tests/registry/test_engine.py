"""Which database, and what its errors say: one line, no password, nothing made by accident."""

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from gpd.artifacts import UserError
from gpd.registry import open_registry, sync
from gpd.registry.engine import _secrets, make_engine, reading, registry_url, shown, writing
from gpd.registry.schema import create_or_check
from gpd.registry.tables import Artifact
from tests.registry.conftest import export

SECRET = "pa:ss/wo#rd"
QUOTED = "pa%3Ass%2Fwo%23rd"


def test_default_is_a_file_in_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPD_REGISTRY_URL", raising=False)
    assert shown(registry_url()) == "registry.db"
    monkeypatch.setenv("GPD_REGISTRY_URL", "postgresql://somebody@there/gpd")
    assert registry_url().drivername == "postgresql+psycopg"
    assert shown(registry_url("other.db")) == "other.db"


@pytest.mark.parametrize("name", ["postgresql", "postgres", "postgresql+psycopg"])
def test_passwords_are_not_shown(name: str) -> None:
    url = registry_url(f"{name}://me:{QUOTED}@localhost:1/gpd")
    assert url.password == SECRET
    assert SECRET not in shown(url)
    assert QUOTED not in shown(url)
    assert shown(url) == "postgresql+psycopg://me:***@localhost:1/gpd"


@pytest.mark.parametrize(
    "key", ["password", "sslpassword", "PassFile", "%70assword", "access_token", "sslkey", "client_secret"]
)
def test_secret_values_of_the_query_are_not_shown(key: str) -> None:
    url = registry_url(f"postgresql://me@localhost:1/gpd?{key}=pa55w0rd&connect_timeout=1")
    assert "pa55w0rd" not in shown(url)
    assert shown(url).startswith("postgresql+psycopg://me@localhost:1/gpd?")
    assert "connect_timeout=1" in shown(url)


@pytest.mark.parametrize("key", ["password", "sslpassword"])
def test_what_the_driver_says_has_no_secret_of_the_query(key: str) -> None:
    with (
        pytest.raises(UserError, match=r"localhost:1/gpd") as caught,
        reading(make_engine(registry_url(f"postgresql://me@localhost:1/gpd?{key}={QUOTED}"))),
    ):
        pass
    assert SECRET not in str(caught.value)
    assert QUOTED not in str(caught.value)


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    with (
        pytest.raises(UserError, match=r"localhost:1/gpd: connection failed") as caught,
        reading(make_engine(registry_url(f"postgresql://me:{QUOTED}@localhost:1/gpd"))),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert QUOTED not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:secret@there:port/db", "not a database URL"),
        ("postgresql://me:pa ss@secret@there:port/db", "not a database URL"),
        ("postgresql:/me:secret@there/db", "not a database URL"),
        ("postgresql//me:secret@there/db", "not a database URL"),
        ("me:secret@there/db", "not a database URL"),
        ("postgresql:there/db?password=secret", "not a database URL"),
        ("there/db?password=secret", "not a database URL"),
        ("me:secret@postgresql://there:x/db", "not a database URL"),
        ("mysql://me:pa@secret@there/db", "unknown database 'mysql'"),
        ("mysql://me@corp:secret@there/db", "unknown database 'mysql'"),
        ("://there", "not a database URL"),
        ("nosuch://there/db", "unknown database 'nosuch'"),
        ("mysql+pymysql://me:secret@there/db", "unknown database 'mysql'; SQLite or PostgreSQL"),
        ("oracle+oracledb://me:secret@there/db", "unknown database 'oracle'"),
    ],
)
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make_engine(registry_url(url))
    assert "secret" not in str(caught.value)


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # what an installation without the extra looks like
    with pytest.raises(UserError, match=r"the driver psycopg is not installed; pip install 'gpd\[postgresql\]'"):
        make_engine(registry_url("postgresql://me:secret@there/db"))


def test_opening_makes_no_file(tmp_path: Path) -> None:
    for writes in (False, True):
        missing = pytest.raises(UserError, match="no registry here; `gpd registry sync` makes one")
        with missing, open_registry(f"{tmp_path}/a.db", writes=writes):
            pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(workspace: Path) -> None:
    with pytest.raises(UserError, match="cannot be opened or made"):
        sync(url="nowhere/registry.db")


def test_every_sqlite_connection_is_set_up(tmp_path: Path) -> None:
    engine = make_engine(registry_url(f"{tmp_path}/a.db"), busy_timeout_seconds=12.0)
    with writing(engine) as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS]
    assert dict(zip(PRAGMAS, found, strict=True)) == PRAGMAS


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 12000}


def test_what_fails_in_a_transaction_leaves_nothing(synced: str) -> None:
    before = export(synced)
    with pytest.raises(UserError, match=r"(?i)foreign key"):
        _add_params(synced, "(SELECT min(content) FROM artifact)", "'no such content'")
    assert export(synced) == before


def _add_params(url: str, *contents: str) -> None:
    with open_registry(url, writes=True) as session:
        for content in contents:
            session.connection().execute(text(f"INSERT INTO param VALUES ({content}, 'x', '1')"))


@pytest.fixture
def file(synced_sqlite: Path, tmp_path: Path) -> Path:
    """A SQLite registry of this test's own."""
    path = tmp_path / "registry.db"
    path.write_bytes(synced_sqlite.read_bytes())
    return path


def test_a_locked_database_is_waited_for_and_then_named(file: Path) -> None:
    before = export(str(file))
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    engine = make_engine(registry_url(str(file)), busy_timeout_seconds=0.01)
    with pytest.raises(UserError, match="another process has held the database"), writing(engine):
        pass
    assert export(str(file)) == before  # readers are not kept out
    holder.rollback()
    with writing(engine) as connection:
        create_or_check(connection)


def test_a_read_only_database_can_be_read_and_says_so_when_written(file: Path, workspace: Path) -> None:
    before = export(str(file))
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    assert export(url) == before
    with pytest.raises(UserError, match="the database is read-only; nothing was recorded"):
        sync(url=url)
    assert export(str(file)) == before


def test_a_truncated_database(file: Path, workspace: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="the database is damaged; move it away"):
        sync(url=str(file))
    assert file.read_bytes()[: len(whole) // 2] == whole[: len(whole) // 2]


def test_a_file_that_is_no_database(tmp_path: Path, workspace: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are notes, not a database, and they are longer than a header\n" * 20)
    with pytest.raises(UserError, match="not an SQLite database"), open_registry(str(file)):
        pass
    with pytest.raises(UserError, match="not an SQLite database"):
        sync(url=str(file))
    assert file.read_text().startswith("these are notes")


def test_an_empty_file_is_an_empty_database(tmp_path: Path, workspace: Path) -> None:
    file = tmp_path / "registry.db"
    file.touch()
    with pytest.raises(UserError, match="holds no registry"), open_registry(str(file)):
        pass
    assert sync(url=str(file)).num_new == 17


def test_what_is_secret_in_a_url_in_every_way_to_write_it() -> None:
    secrets = _secrets(make_url("postgresql://me:se%20cret@there/db?sslpassword=other&port=1"))
    assert (secrets[0], secrets[-1]) == ("se%20cret", "other")  # the longest first
    assert set(secrets) == {"se cret", "se%20cret", "se+cret", "other"}
    assert _secrets(make_url("sqlite:///registry.db")) == []


@pytest.mark.parametrize("url", ["sqlite://", ":memory:", "sqlite:///:memory:"])
def test_a_database_in_memory_is_there_and_empty(url: str) -> None:
    with pytest.raises(UserError, match="holds no registry"), open_registry(url):
        pass


def test_what_was_added_to_a_session_that_writes_is_there_and_of_one_that_reads_is_not(file: Path) -> None:
    for writes in (True, False):
        row = Artifact(content=f"{int(writes)}" * 64, kind="base")
        with contextlib.suppress(UserError), open_registry(str(file), writes=writes) as session:
            session.add(row)
    with open_registry(str(file)) as session:
        assert session.get(Artifact, "1" * 64)


def test_a_url_s_secrets_are_hidden_and_a_path_is_as_it_is() -> None:
    assert shown(registry_url("a/b@c.db")) == "a/b@c.db"
    assert shown(registry_url("sqlite:///a/b.db?mode=ro")) == "a/b.db"
