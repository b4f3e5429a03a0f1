"""Rows into the database: what is new is counted, what is there stays or is replaced as each function says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from gpd.artifacts import hash_json
from gpd.registry import tables as t
from gpd.registry.engine import make_engine, registry_url, writing
from gpd.registry.recorded import differences, known, shown
from gpd.registry.recording import insert_missing, insert_or_replace, make_current, record
from tests.registry.rows import edge_rows, evaluation_rows

A, B = "a" * 64, "b" * 64


@pytest.fixture
def connection(made_sqlite: Path, tmp_path: Path) -> Iterator[Connection]:
    (tmp_path / "own.db").write_bytes(made_sqlite.read_bytes())
    with writing(make_engine(registry_url(str(tmp_path / "own.db")))) as connection:
        yield connection


def artifact(content: str, **values: object) -> dict[str, object]:
    return t.checked(t.Artifact, content=content, kind="student", **values).model_dump()


def names(connection: Connection) -> dict[str, str | None]:
    table = t.table_of(t.Artifact)
    return dict(connection.execute(select(table.c.content, table.c.name)).tuples().all())


def test_new_rows_are_counted_and_old_ones_stay(connection: Connection) -> None:
    assert insert_missing(connection, t.Artifact, []) == 0
    assert insert_missing(connection, t.Artifact, [artifact(A, name="first"), artifact(B)]) == 2
    assert insert_missing(connection, t.Artifact, [artifact(A, name="second"), artifact("c" * 64)]) == 1
    assert names(connection) == {A: "first", B: None, "c" * 64: None}


def test_a_row_is_replaced_if_the_condition_holds(connection: Connection) -> None:
    insert_or_replace(connection, t.Artifact, [])
    insert_or_replace(connection, t.Artifact, [artifact(A, name="first"), artifact(B, name="other")])
    insert_or_replace(connection, t.Artifact, [artifact(A, name="second")])
    table = t.table_of(t.Artifact)
    insert_or_replace(connection, t.Artifact, [artifact(B, name="never")], only=table.c.name.is_(None))
    assert names(connection) == {A: "second", B: "other"}


def test_whoever_is_referred_to_is_there_as_unknown(connection: Connection) -> None:
    insert_missing(connection, t.Artifact, [artifact(A)])
    assert not record(connection, edge_rows(A, "previous", B))  # an edge is no document of its own
    table = t.table_of(t.Artifact)
    found = connection.execute(select(table.c.content, table.c.kind)).tuples().all()
    assert sorted(found) == [(A, "student"), (B, t.UNKNOWN)]


def test_of_one_setting_the_last_recorded_is_current_and_only_that(connection: Connection) -> None:
    table = t.table_of(t.Evaluation)

    def current() -> set[str]:
        return set(connection.execute(select(table.c.id).where(table.c.is_current)).scalars())

    first, second, other = (
        evaluation_rows(number, value, "lower") for number, value in ((1, 0.5), (1, 0.25), (2, 0.5))
    )
    ids = [rows[t.Evaluation][0]["id"] for rows in (first, second, other)]
    assert [record(connection, rows) for rows in (first, other, second)] == [True, True, True]
    assert current() == {ids[1], ids[2]}
    assert not record(connection, first)  # known, and what was measured last all the same
    assert current() == {ids[0], ids[2]}
    make_current(connection, [*second[t.Evaluation], *first[t.Evaluation], *second[t.Evaluation]])
    assert current() == {ids[1], ids[2]}


def test_what_was_changed_is_named_and_recorded_again(connection: Connection) -> None:
    rows = evaluation_rows(1, 0.5, "lower")
    (evaluation,) = rows[t.Evaluation]
    assert not list(differences(connection, rows))  # nothing known, nothing wrong
    record(connection, rows)
    assert not list(differences(connection, rows))
    table, score = t.table_of(t.Evaluation), t.table_of(t.Score)
    named = shown(evaluation["id"])
    assert named == evaluation["id"][:12]
    for change, said in (
        (table.update().values(solver="other"), [f"evaluation {named}: solver is 'other', not 'euler'"]),
        (table.update().values(is_current=False), []),  # by what others record
        (score.update().values(value=0.75), [f"score {named} m: value is 0.75, not 0.5"]),
        (score.delete(), [f"score {named} m: is missing"]),
        (
            score.insert().values({**rows[t.Score][0], "metric": "more"}),
            [f"score {named} more: was never recorded"],
        ),
    ):
        connection.execute(change)
        assert [str(one) for one in differences(connection, rows)] == said
        assert record(connection, rows) == bool(said)
        assert not list(differences(connection, rows))


def test_an_artifact_is_known_once_its_manifest_was_seen(connection: Connection) -> None:
    rows = [artifact(A, manifest_hash=hash_json("manifest")), artifact(B)]
    insert_missing(connection, t.Artifact, rows)
    assert known(connection, t.Artifact, rows) == {A}
    run = t.checked(t.Run, **RUN).model_dump()
    insert_missing(connection, t.Run, [run])
    assert known(connection, t.Run, [run]) == {run["id"]}


RUN = {
    "id": "r1",
    "stage": "distill@k8",
    "command": ["gpd"],
    "params_hash": "d" * 64,
    "git_commit": "e" * 40,
    "git_is_dirty": False,
    "host": "here",
    "device": "cpu",
    "started": "2026-01-02T03:04:05+00:00",
    "ended": "2026-01-02T03:05:05+00:00",
    "forwards": {},
    "device_seconds": 1.0,
    "exit_code": 0,
}
