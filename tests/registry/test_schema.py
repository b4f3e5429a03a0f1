"""Migrations: the tables are what the code says, old rows survive, other versions are refused."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from gpd import registry
from gpd.artifacts import UserError
from gpd.registry import best, current_aliases, open_registry, sync, upgrade
from gpd.registry.columns import Record
from gpd.registry.engine import make_engine, reading, registry_url, writing
from gpd.registry.schema import HEAD, REVISIONS, Upgraded

EXPORTS = Path(__file__).with_name("revisions")


def test_the_list_of_revisions_is_that_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(registry.__file__).with_name("migrations")))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_every_revision_survive_the_upgrade(empty_url: str, revision: str) -> None:
    rows = [json.loads(line) for line in (EXPORTS / f"{revision}.jsonl").read_text().splitlines()[1:]]
    engine = make_engine(registry_url(empty_url))
    with writing(engine) as connection:
        _make(connection, revision)
        _insert(connection, rows)
        before = _counts(connection)
    assert all(before.values()), "the export has rows of every table"
    assert upgrade(empty_url) == Upgraded(revision, HEAD)
    with reading(engine) as connection:
        after = _counts(connection)
        assert {table: after[table] for table in before} == before
        options = {"compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Record.metadata) == []
    with open_registry(empty_url) as session:
        assert best(session=session, steps=6).winners[0].name == "k8"
        assert current_aliases(session=session)["champion"]


def _make(connection: Connection, revision: str) -> None:
    """A database as the first version of gpd with this revision made it."""
    import_module(f"tests.registry.revisions.r{revision}").METADATA.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    from datetime import datetime

    metadata = MetaData()
    metadata.reflect(connection)
    for row in rows:
        values = {
            key: datetime.fromisoformat(value) if key in ("started", "ended", "made_at") and value else value
            for key, value in row["row"].items()
        }
        connection.execute(metadata.tables[row["table"]].insert(), values)


def _counts(connection: Connection) -> dict[str, int]:
    metadata = MetaData()
    metadata.reflect(connection)
    names = sorted(set(metadata.tables) - {"alembic_version"})
    return {name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one() for name in names}


def test_a_newer_database_is_refused(synced: str, workspace: Path) -> None:
    _set_revision(synced, "9999")
    for refused in (lambda: sync(url=synced), lambda: open_registry(synced).__enter__(), lambda: upgrade(synced)):
        with pytest.raises(UserError, match=rf"revision 9999 is newer than this gpd knows \({HEAD}\); update gpd"):
            refused()


def test_an_older_database_asks_for_upgrade(synced: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpd.registry.schema.HEAD", "9998")
    monkeypatch.setattr("gpd.registry.schema.REVISIONS", (*REVISIONS, "9998"))
    for refused in (lambda: sync(url=synced), lambda: open_registry(synced).__enter__()):
        with pytest.raises(UserError, match=r"older than this gpd's .*; run `gpd registry upgrade`"):
            refused()


def test_a_database_of_others_is_left_alone(empty_url: str, workspace: Path) -> None:
    engine = make_engine(registry_url(empty_url))
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE invoices (number INTEGER)"))
    with pytest.raises(UserError, match=r"not a registry \(it holds the table 'invoices'\)"):
        sync(url=empty_url)
    with pytest.raises(UserError, match="holds no registry"):
        upgrade(empty_url)
    with reading(engine) as connection:
        assert _counts(connection) == {"invoices": 0}


def _set_revision(url: str, revision: str) -> None:
    with writing(make_engine(registry_url(url))) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_a_new_database_needs_no_upgrade(empty_url: str, workspace: Path) -> None:
    sync(url=empty_url)
    assert upgrade(empty_url) == Upgraded(HEAD, HEAD)
