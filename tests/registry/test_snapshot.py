"""A copy of a registry with the views of `gpd registry sql` in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.registry import open_registry
from gpd.registry.snapshot import write_snapshot
from gpd.registry.sql import VIEWS, ask
from tests.registry.conftest import export


def test_the_copy_answers_as_the_registry_does(synced: str, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    write_snapshot(file, synced)
    assert export(str(file)) == export(synced)
    with open_registry(synced) as session, closing(sqlite3.connect(file)) as copy:
        for view in VIEWS:
            query = f"SELECT count(*), min(content), max(content) FROM {view}"
            assert copy.execute(query).fetchall() == ask(session=session, query=query).rows


def test_no_registry_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no registry here"):
        write_snapshot(tmp_path / "copy.db", f"{tmp_path}/missing.db")
    assert list(tmp_path.iterdir()) == []
