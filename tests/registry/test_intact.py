"""One changed value in a row is found and named, promotes nobody, and a sync mends it; whole rows are whole."""

import sqlite3
from pathlib import Path

import pytest
from sqlmodel import Session

from gpd.artifacts import DamagedError
from gpd.registry import best, check_rows, open_registry, promote, protect, remark, sync, tag, withdraw
from gpd.registry.engine import make_engine, registry_url, writing
from tests.registry.conftest import export, make_evaluation, subject_of


def change(url: str, *statements: str) -> None:
    with writing(make_engine(registry_url(url))) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def wrong(url: str, workspace: Path = Path()) -> list[str]:
    with open_registry(url) as session:
        return [str(row) for row in check_rows(session, workspace)]


@pytest.fixture
def used(workspace: Path, synced: str) -> str:
    """A registry in which people have decided and said things."""
    with open_registry(synced, writes=True) as session:
        promote(session=session, key="k8", alias="champion", because="it is the best")
        protect(session=session, alias="champion", because="in use")
        withdraw(session=session, alias="champion", because="no longer", force=True)
        remark(session=session, key="k4", text="looks well")
        tag(session=session, key="k4", tag="good")
    return synced


CHANGES = {
    "a score": "UPDATE score SET value = value + 1e-9 WHERE metric = 'psnr' AND steps = 12",
    "a count": "UPDATE score SET num_samples = 9 WHERE metric = 'psnr' AND steps = 12",
    "a metric": "UPDATE score SET metric = 'psnq' WHERE metric = 'psnr' AND steps = 12",
    "a solver": "UPDATE evaluation SET solver = 'eulfr' WHERE steps = 12",
    "a cost": "UPDATE evaluation SET forwards = forwards + 1 WHERE steps = 12",
    "completeness": "UPDATE evaluation SET is_complete = false WHERE steps = 12",
    "what is current": "UPDATE evaluation SET is_current = false WHERE steps = 12",
    "a protocol": "UPDATE protocol SET shift = 5.25",
    "the protocol's fields": "UPDATE protocol SET fields = REPLACE(CAST(fields AS TEXT), '48', '49')",
    "a setting": "UPDATE param SET value = '4.5' WHERE \"key\" = 'horizon'",
    "a setting's name": "UPDATE param SET \"key\" = 'horizom' WHERE \"key\" = 'horizon'",
    "facts": "UPDATE artifact SET facts = REPLACE(CAST(facts AS TEXT), '0.3', '0.7') WHERE name = 'k8'",
    "a name": "UPDATE artifact SET name = 'k9' WHERE name = 'k8'",
    "a size": "UPDATE artifact SET size_bytes = size_bytes + 64 WHERE name = 'k8'",
    "a horizon": "UPDATE checkpoint SET horizon = 9 WHERE stage = 'k8'",
    "the manifest's hash": f"UPDATE artifact SET manifest_hash = '{'0' * 64}' WHERE name = 'k8'",
    "a parent": "UPDATE lineage SET relation = 'previout' WHERE relation = 'previous'",
    "a run": "UPDATE run SET exit_code = 1 WHERE stage = 'distill@k8'",
    "a run's output": "UPDATE run_output SET path = 'data/students/k9' WHERE path = 'data/students/k8'",
}
SIGNED = {
    "who": "UPDATE promotion SET made_by = 'nobody'",
    "why": "UPDATE promotion SET because = 'it is the rest' WHERE because = 'it is the best'",
    "protection": "UPDATE promotion SET is_protected = true WHERE because = 'it is the best'",
    "a remark": "UPDATE remark SET text = 'looks bell' WHERE kind = 'remark'",
    "a tag": "UPDATE remark SET kind = 'untag' WHERE kind = 'tag'",
}


def as_spoken(url: str, statement: str) -> str:
    return (
        statement
        if url.startswith("sqlite")
        else statement.replace("'49')", "'49')::json").replace("'0.7')", "'0.7')::json")
    )


def test_what_was_recorded_is_whole(used: str) -> None:
    assert wrong(used) == []


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_value_is_found_and_mended_by_a_sync(used: str, what: str) -> None:
    before = export(used)
    change(used, as_spoken(used, CHANGES[what]))
    assert export(used) != before
    assert wrong(used)
    sync(url=used)
    assert (wrong(used), export(used)) == ([], before)


@pytest.mark.parametrize("what", SIGNED)
def test_what_people_said_is_named_by_its_hash(used: str, what: str) -> None:
    change(used, SIGNED[what])
    (*_, last) = wrong(used)
    assert last.startswith(("promotion ", "remark "))


@pytest.mark.parametrize("what", ["a score", "a metric", "a solver", "a protocol", "a setting", "a horizon"])
def test_much_is_found_without_the_workspace(used: str, what: str, tmp_path: Path) -> None:
    change(used, CHANGES[what])
    assert wrong(used, tmp_path)


def test_a_damaged_score_promotes_nobody(session: Session) -> None:
    session.connection().exec_driver_sql("UPDATE score SET value = 0.001 WHERE metric = 'trajectory_error'")
    with pytest.raises(DamagedError, match=r"evaluation [0-9a-f]{12}: its name is not the hash"):
        promote(session=session, key="k8", alias="champion", because="so low an error")


@pytest.mark.parametrize(("table", "column"), [("artifact", "facts"), ("run", "started"), ("artifact", "name")])
def test_a_value_that_cannot_be_read_is_named(workspace: Path, synced_sqlite: Path, table: str, column: str) -> None:
    url = f"sqlite:///{workspace}/it.db"
    Path("it.db").write_bytes(synced_sqlite.read_bytes())
    before = export(url)
    change(url, f"UPDATE {table} SET {column} = CAST(x'7bff7b' AS TEXT)")
    assert any("cannot be read" in line for line in wrong(url))
    sync(url=url)
    assert (wrong(url), export(url)) == ([], before)


def test_a_manifest_that_was_written_since_the_last_sync_is_no_damage(workspace: Path, used: str) -> None:
    from tests.registry.conftest import make_student

    make_student(workspace, "k8", 9, workspace / "data/students/k4", text=None)
    assert wrong(used) == []


@pytest.fixture
def own(workspace: Path, synced_sqlite: Path) -> str:
    """A SQLite registry of this test's own."""
    Path("own.db").write_bytes(synced_sqlite.read_bytes())
    return f"sqlite:///{workspace}/own.db"


def test_a_row_that_cannot_be_read_hides_no_other(own: str, tmp_path: Path) -> None:
    change(own, "UPDATE artifact SET facts = CAST(x'7bff7b' AS TEXT) WHERE name = 'k1'")
    change(own, "UPDATE param SET value = '9.5' WHERE \"key\" = 'horizon' AND value = '8.0'")
    found = wrong(own, tmp_path)
    assert len(found) == 2
    assert sum("cannot be read" in line for line in found) == 1
    assert sum("param horizon is '9.5', its manifest said '8.0'" in line for line in found) == 1


def test_a_manifest_that_was_written_since_hides_no_damage_elsewhere(workspace: Path, own: str) -> None:
    from tests.registry.conftest import make_folder

    make_folder(workspace / "data/tiny-wan", kind="base", facts={"name": "renamed"}, params={"new": True})
    assert wrong(own) == []
    change(own, "UPDATE run SET exit_code = 1 WHERE stage = 'distill@k8'")
    (line,) = wrong(own)
    assert line.startswith("run ")
    assert line.endswith("exit_code is 1, not 0")


def test_what_is_wrong_is_said_by_column_with_both_values(own: str, tmp_path: Path) -> None:
    for statement, said in (
        ("UPDATE protocol SET shift = 5.25", "shift is 5.25, its fields say 5.0"),
        ("UPDATE checkpoint SET horizon = 9 WHERE stage = 'k8'", "horizon is 9, its facts say 8"),
        ("UPDATE checkpoint SET forwards = 9 WHERE stage = 'k8'", "forwards is 9, its facts say 610"),
        (
            "UPDATE evaluation SET is_complete = 0 WHERE subject = 'k8'",
            "is_complete is False, its scores say otherwise",
        ),
        ("UPDATE evaluation SET is_current = 0 WHERE subject = 'k8'", "0 of one setting are the current one"),
        (
            "UPDATE score SET steps = 7 WHERE metric = 'psnr' AND steps = 24",
            "its psnr is of another protocol or number of",
        ),
        ("UPDATE artifact SET kind = 'base' WHERE name = 'k8'", "kind is 'base', as a checkpoint it is 'student'"),
        (
            "UPDATE artifact SET kind = 'student' WHERE name = 'latents'",
            "kind is 'student', as a checkpoint it is None",
        ),
        ("DELETE FROM param WHERE \"key\" = 'guidance.axis'", "param guidance.axis is None, its manifest said 'stage'"),
        ("UPDATE location SET content = 'f' WHERE path = 'data/students/k8'", "refers to no row of artifact"),
    ):
        copy = tmp_path / "copy.db"
        copy.write_bytes(Path("own.db").read_bytes())
        with sqlite3.connect(copy) as database:
            assert database.execute(statement).rowcount
        found = wrong(str(copy), tmp_path)
        assert any(said in line for line in found), (said, found)


def test_two_of_one_setting_are_not_both_current(workspace: Path, own: str, tmp_path: Path) -> None:
    make_evaluation(workspace, "k8", {"k8": subject_of(workspace / "data/students/k8", error=0.5, steps=6)})
    sync(url=own)
    assert wrong(own, tmp_path) == []
    change(own, "UPDATE evaluation SET is_current = 1")
    (line,) = wrong(own, tmp_path)
    assert line.endswith("2 of one setting are the current one")
    with open_registry(own) as session, pytest.raises(DamagedError, match="2 of one setting"):
        best(session=session, steps=6)


def test_a_manifest_s_hash_alone_is_damage(own: str) -> None:
    change(own, f"UPDATE artifact SET manifest_hash = '{'0' * 64}' WHERE name = 'k8'")
    (line,) = wrong(own)
    assert "manifest_hash is '0000" in line
    change(own, f"UPDATE artifact SET size_bytes = 1, manifest_hash = '{'0' * 64}' WHERE name = 'k8'")
    assert wrong(own) == []  # written since, with other settings
