"""Migrations: the tables are what the code says, old rows survive, other versions are refused."""

import json
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
from gpd.registry import make_engine, open_registry, reading, registry_url, sync, upgrade, writing
from gpd.registry.columns import Record
from gpd.registry.schema import HEAD, REVISIONS, get_revision, migrate

EXPORTS = Path(__file__).with_name("revisions")


def test_the_list_of_revisions_is_that_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(registry.__file__).with_name("migrations")))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == REVISIONS


def test_a_new_database_is_what_the_tables_say(empty_url: str, workspace: Path) -> None:
    sync(url=empty_url)
    with reading(make_engine(registry_url(empty_url))) as connection:
        assert get_revision(connection) == HEAD
        options = {"compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Record.metadata) == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_every_revision_survive_the_upgrade(empty_url: str, revision: str) -> None:
    engine = make_engine(registry_url(empty_url))
    rows = [json.loads(line) for line in (EXPORTS / f"{revision}.jsonl").read_text().splitlines()[1:]]
    with writing(engine) as connection:
        migrate(connection, revision)
        _insert(connection, rows)
        before = _counts(connection)
    assert all(before.values()), "the export has rows of every table"
    with writing(engine) as connection:
        assert upgrade(connection, "it") == (revision, HEAD)
        after = _counts(connection)
        assert {table: after[table] for table in before} == before
    with open_registry(empty_url) as session:
        assert registry.best(session=session, steps=6).winners[0].name == "k8"
        assert registry.current_aliases(session=session)["champion"]


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
    for refused in (lambda: sync(url=synced), lambda: open_registry(synced).__enter__(), lambda: _upgrade(synced)):
        with pytest.raises(UserError, match=r"revision 9999 is newer than this gpd knows \(0001\); update gpd"):
            refused()


def test_an_older_database_asks_for_upgrade(synced: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpd.registry.schema.HEAD", "0002")
    monkeypatch.setattr("gpd.registry.schema.REVISIONS", ("0001", "0002"))
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
        _upgrade(empty_url)
    with reading(engine) as connection:
        assert _counts(connection) == {"invoices": 0}


def _set_revision(url: str, revision: str) -> None:
    with writing(make_engine(registry_url(url))) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def _upgrade(url: str) -> None:
    with writing(make_engine(registry_url(url))) as connection:
        upgrade(connection, "it")
