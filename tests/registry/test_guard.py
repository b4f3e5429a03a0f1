"""No answer from a damaged row: one changed value, and `best`, `promote`, `show` or an alias is refused, naming it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from gpd.artifacts import DamagedError
from gpd.registry import best, find_checkpoint, open_registry, promote, protect, show, sync, withdraw
from tests.registry.conftest import content_of

K8 = "(SELECT id FROM evaluation WHERE subject = 'k8')"
OF_K8 = "content IN (SELECT content FROM artifact WHERE name = 'k8')"
RANKED = {  # what may be changed in what `best --steps 6` ranks -> the row that is named
    f"UPDATE score SET value = 0.07 WHERE metric = 'trajectory_error' AND evaluation IN {K8}": "evaluation",
    f"UPDATE score SET value = 7 WHERE metric = 'psnr' AND evaluation IN {K8}": "evaluation",
    f"UPDATE score SET value = NULL, not_finite = 'nan' WHERE evaluation IN {K8}": "evaluation",
    f"UPDATE score SET metric = 'psnq' WHERE metric = 'trajectory_error' AND evaluation IN {K8}": "evaluation",
    f"UPDATE score SET direction = 'higher' WHERE metric = 'trajectory_error' AND evaluation IN {K8}": "evaluation",
    f"UPDATE score SET num_samples = 9 WHERE metric = 'psnr' AND evaluation IN {K8}": "evaluation",
    f"DELETE FROM score WHERE metric = 'trajectory_error' AND evaluation IN {K8}": "evaluation",
    "UPDATE evaluation SET is_complete = false WHERE subject = 'k8'": "evaluation",
    "UPDATE evaluation SET is_current = false WHERE subject = 'k8'": "evaluation",
    "UPDATE evaluation SET solver = 'eulfr' WHERE subject = 'k8'": "evaluation",
    "UPDATE evaluation SET guidance_scale = 2 WHERE subject = 'euler-6'": "evaluation",
    "UPDATE protocol SET num_prompts = 5": "protocol",
    "UPDATE protocol SET teacher = NULL": "protocol",
    "UPDATE artifact SET kind = 'base' WHERE name = 'k8'": "artifact",
    "UPDATE checkpoint SET role = 'base' WHERE stage = 'k8'": "artifact",
    "UPDATE checkpoint SET sampling_steps = 7 WHERE stage = 'k8'": "artifact",
    f"DELETE FROM checkpoint WHERE {OF_K8}": "artifact",
    f"UPDATE param SET value = '7.0' WHERE \"key\" = 'horizon' AND {OF_K8}": "artifact",
}
ELSEWHERE = [  # what 6 steps do not ask for
    "UPDATE score SET value = 0.0001 WHERE steps = 12",
    "UPDATE evaluation SET is_current = false WHERE subject = 'k4'",
    "UPDATE checkpoint SET sampling_steps = 7 WHERE stage = 'k4'",
]
REFERRED = [  # what a database that keeps its foreign keys would not do
    "UPDATE score SET steps = 7 WHERE steps = 6",
    "UPDATE evaluation SET steps = 7 WHERE steps = 6",
    f"UPDATE score SET evaluation = '{'0' * 64}' WHERE metric = 'trajectory_error' AND evaluation IN {K8}",
    f"UPDATE evaluation SET checkpoint = '{'0' * 64}' WHERE subject = 'k8'",
    f"UPDATE evaluation SET protocol = '{'0' * 64}' WHERE subject = 'k8'",
    f"UPDATE artifact SET content = '{'0' * 64}' WHERE name = 'k8'",
    f"UPDATE checkpoint SET content = '{'0' * 64}' WHERE stage = 'k8'",
    f"UPDATE location SET content = '{'0' * 64}' WHERE path = 'data/students/k8'",
]


def after(session: Session, change: str, ask: Callable[[], Any]) -> str:
    """What is said instead of the answer once something has been changed, which then is undone."""
    step = session.connection().begin_nested()
    try:
        assert session.connection().execute(text(change)).rowcount
        session.expire_all()
        with pytest.raises(DamagedError) as caught:
            ask()
    finally:
        step.rollback()
        session.expire_all()
    return str(caught.value)


def test_a_changed_value_among_the_ranked_is_named_and_nothing_is_best(session: Session, workspace: Path) -> None:
    before = best(session=session, steps=6)
    for change, table in RANKED.items():
        said = after(session, change, lambda: best(session=session, steps=6))
        assert said.startswith(f"registry: {table} "), change
        assert "`gpd registry verify`" in said
        assert "`gpd registry sync`" in said
        assert "\n" not in said
    assert best(session=session, steps=6) == before


def test_a_protocol_that_is_asked_for_is_compared_too(session: Session, workspace: Path) -> None:
    protocol = best(session=session, steps=6).protocol[:12]
    for change in list(RANKED)[:5]:
        assert "evaluation" in after(session, change, lambda: best(session=session, steps=6, protocol=protocol))


def test_damage_that_the_question_does_not_concern_stops_nobody(session: Session, workspace: Path) -> None:
    before = best(session=session, steps=6)
    for change in ELSEWHERE:
        assert session.connection().execute(text(change)).rowcount
    assert best(session=session, steps=6) == before
    with pytest.raises(DamagedError):
        best(session=session, steps=12)


@pytest.mark.parametrize("change", REFERRED)
def test_a_key_that_was_changed_hides_nothing(workspace: Path, synced_sqlite: Path, change: str) -> None:
    file = workspace / "it.db"
    file.write_bytes(synced_sqlite.read_bytes())
    with sqlite3.connect(file) as database:
        assert database.execute(change).rowcount
    with open_registry(str(file)) as session, pytest.raises(DamagedError, match=r"^registry: "):
        best(session=session, steps=6)


def test_a_sync_mends_it_and_the_answer_is_as_before(synced: str, workspace: Path) -> None:
    with open_registry(synced, writes=True) as session:
        before = best(session=session, steps=6)
        session.connection().execute(text("UPDATE score SET value = 0.001 WHERE steps = 6"))
    with open_registry(synced) as session, pytest.raises(DamagedError):
        best(session=session, steps=6)
    sync(url=synced)
    with open_registry(synced) as session:
        assert best(session=session, steps=6) == before


@pytest.mark.parametrize("column", ["facts", "params"])
def test_a_value_that_no_json_can_be_is_one_line(workspace: Path, synced_sqlite: Path, column: str) -> None:
    file = workspace / "it.db"
    file.write_bytes(synced_sqlite.read_bytes())
    with sqlite3.connect(file) as database:
        database.execute(f"UPDATE artifact SET {column} = '{{' WHERE name = 'k8'")
    for ask in (lambda s: best(session=s, steps=6), lambda s: show(session=s, key="k8")):
        refused = pytest.raises(DamagedError, match=r"cannot be read .*`gpd registry verify` names it")
        with refused, open_registry(str(file)) as session:
            ask(session)


def test_nobody_is_promoted_by_damaged_rows_nor_in_the_place_of_one(session: Session, workspace: Path) -> None:
    """Whoever promotes has compared the new one with the one that has the alias."""
    promote(session=session, key="k4", alias="champion", because="first")
    protect(session=session, alias="champion", because="in use", off=True)

    def replace_it() -> None:
        promote(session=session, key="k8", alias="champion", because="better")

    for name in ("k4", "k8"):
        scores = f"UPDATE score SET value = 1 WHERE evaluation IN (SELECT id FROM evaluation WHERE subject = '{name}')"
        assert "evaluation" in after(session, scores, replace_it)
        assert "artifact" in after(session, f"UPDATE checkpoint SET horizon = 3 WHERE stage = '{name}'", replace_it)
    others = "UPDATE score SET value = 1 WHERE evaluation IN (SELECT id FROM evaluation WHERE subject = 'k2')"
    session.connection().execute(text(others))
    replace_it()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE promotion SET alias = 'champiom'",
        "UPDATE promotion SET is_protected = false",
        "UPDATE promotion SET content = (SELECT content FROM artifact WHERE name = 'k4')",
        "UPDATE promotion SET because = 'it is the rest'",
    ],
)
def test_an_alias_whose_history_was_changed_names_nobody(session: Session, workspace: Path, change: str) -> None:
    promote(session=session, key="k8", alias="champion", because="it is the best")
    protect(session=session, alias="champion", because="in use")
    words = {"session": session, "alias": "champion"}
    assert find_checkpoint("champion", session=session).content == content_of(workspace / "data/students/k8")
    for ask in (
        lambda: find_checkpoint("champion", session=session),
        lambda: promote(key="k4", because="better", **words),
        lambda: withdraw(because="worse", **words),
        lambda: protect(because="free", off=True, **words),
    ):
        assert after(session, change, ask).startswith("registry: promotion ")


def test_what_is_shown_of_one_is_compared_and_of_another_is_not(session: Session, workspace: Path) -> None:
    assert "evaluation" in after(session, next(iter(RANKED)), lambda: show(session=session, key="k8"))
    assert "artifact" in after(session, list(RANKED)[-1], lambda: show(session=session, key="k8"))
    session.connection().execute(text(next(iter(RANKED))))
    assert show(session=session, key="k4").name == "k4"
