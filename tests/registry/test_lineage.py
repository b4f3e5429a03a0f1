"""Lineage: the whole chain in one query, also where it is long, broken or runs in a circle."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from gpd.artifacts import hash_json
from gpd.registry import find_artifact, lineage, open_registry, sync
from gpd.registry.engine import make_engine, registry_url, writing
from gpd.registry.lineage import lineage_statement
from gpd.registry.printing import lineage_tree, write
from gpd.registry.recording import record
from tests import seals
from tests.registry.conftest import content_of, make_folder
from tests.registry.rows import edge_rows


def test_from_the_last_student_to_teacher_and_data(session: Session, workspace: Path) -> None:
    found = lineage(session=session, key=content_of(workspace / "data/students/k8"))
    names = {node.name for node in found.nodes.values()}
    assert names == {"k8", "k4", "k2", "k1", "tiny-wan", "latents", "prompts"}
    previous = {
        found.nodes[edge.child].name: found.nodes[edge.parent].name
        for edge in found.edges
        if edge.relation == "previous"
    }
    assert previous == {"k8": "k4", "k4": "k2", "k2": "k1", "k1": "tiny-wan"}
    assert found.forwards == 4 * 610
    assert not found.is_cut
    assert not found.has_cycle


def test_from_the_data_down_to_all_that_used_it(session: Session, workspace: Path) -> None:
    content = content_of(workspace / "data/prompts")
    found = lineage(session=session, key=content, down=True)
    assert {node.name for node in found.nodes.values()} == {"prompts", "latents", "report", "k1", "k2", "k4", "k8"}


def test_the_base_model_has_no_ancestors(session: Session) -> None:
    found = lineage(session=session, key=find_artifact(key="tiny-wan", session=session).content)
    assert (len(found.nodes), found.edges) == (1, [])


def test_a_parent_never_seen_is_shown_as_such(workspace: Path, synced: str) -> None:
    folder = workspace / "data/students/lost"
    make_folder(folder, kind="student", facts={"stage": "lost"}, inputs={"previous": workspace / "data/students/k1"})
    manifest = folder / "manifest.json"
    seals.edit(manifest, lambda text: text.replace(content_of(workspace / "data/students/k1"), "f" * 64))
    assert not sync(url=synced).problems
    with open_registry(synced) as session:
        found = lineage(session=session, key=content_of(folder))
        assert not found.nodes["f" * 64].is_known


def test_a_circle_comes_to_an_end_and_is_called_one(synced: str, capsys: pytest.CaptureFixture[str]) -> None:
    ring = [hash_json(number) for number in range(5)]
    with writing(make_engine(registry_url(synced))) as connection:
        for child, parent in zip(ring, ring[1:] + ring[:1], strict=True):
            record_edges(connection, [(child, parent)])
        record_edges(connection, [("0" * 64, "0" * 64)])
    with open_registry(synced) as session:
        found = lineage(session=session, key=ring[0])
        assert (set(found.nodes), len(found.edges), found.has_cycle) == (set(ring), 5, True)
        assert lineage(session=session, key="0" * 64).has_cycle
        write(*lineage_tree(found))
    assert "runs in a circle" in capsys.readouterr().out


def record_edges(connection: object, edges: list[tuple[str, str]]) -> None:
    from sqlalchemy import Connection

    from gpd.registry import tables as t
    from gpd.registry.recording import insert_missing

    assert isinstance(connection, Connection)
    for child, parent in edges:
        stub = t.checked(t.Artifact, content=child, kind=t.UNKNOWN).model_dump()
        insert_missing(connection, t.Artifact, [stub])
        rows = edge_rows(child, "previous", parent)
        record(connection, rows)
        insert_missing(connection, t.Lineage, rows[t.Lineage])


def test_a_chain_longer_than_the_stack(made_sqlite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(made_sqlite.read_bytes())
    chain = [hash_json(number) for number in range(1100)]
    with writing(make_engine(registry_url(str(path)))) as connection:
        record_edges(connection, list(pairwise(chain)))
    with open_registry(str(path)) as session:
        assert len(lineage(session=session, key=chain[0]).nodes) == 1100
        cut = lineage(session=session, key=chain[0], limit=100)
        assert (len(cut.edges), cut.is_cut) == (100, True)
        write(*lineage_tree(cut))
    assert "there is more: --limit" in capsys.readouterr().out


def test_an_index_serves_both_directions(synced_sqlite: Path) -> None:
    with open_registry(str(synced_sqlite)) as session:
        for direction, index in (("up", "sqlite_autoindex_lineage"), ("down", "ix_lineage_parent")):
            statement = lineage_statement("a" * 64, direction, 10)
            compiled = statement.compile(session.connection(), compile_kwargs={"literal_binds": True})
            plan = [row[-1] for row in session.connection().execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]
            steps = [step for step in plan if "lineage" in step]
            assert len(steps) == 2
            assert all(step.startswith("SEARCH") and index in step for step in steps)


GRAPHS = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16)


def test_reachable_is_what_walking_says(made_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=15, deadline=None)
    @given(GRAPHS)
    def law(graph: set[tuple[int, int]]) -> None:
        path = tmp_path_factory.mktemp("law") / "registry.db"
        path.write_bytes(made_sqlite.read_bytes())
        names = {number: hash_json(number) for number in range(8)}
        with writing(make_engine(registry_url(str(path)))) as connection:
            record_edges(connection, [(names[0], names[1]), *((names[a], names[b]) for a, b in graph)])
        edges = graph | {(0, 1)}
        with open_registry(str(path)) as session:
            up = lineage(session=session, key=names[0])
            assert set(up.nodes) == {names[number] for number in _walk(edges, 0)}
            down = lineage(session=session, key=names[0], down=True)
            assert set(down.nodes) == {names[number] for number in _walk({(b, a) for a, b in edges}, 0)}
            reached = {(a, b) for a, b in edges if a in _walk(edges, 0)}
            assert up.has_cycle == any(a in _walk(reached, b) for a, b in reached)

    law()


def _walk(edges: set[tuple[int, int]], start: int) -> set[int]:
    seen, waiting = set[int](), [start]
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            waiting += [b for a, b in edges if a == here]
    return seen
