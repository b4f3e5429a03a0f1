"""`gpd bench registry` fills a registry of the size that it names and asks it its questions."""

import time
from pathlib import Path
from typing import Any

import pytest

from gpd.registry import bench, best, check_rows, lineage, open_registry


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `run` would ask of, instead of its questions: whether the rows are whole, and how long the chain is."""
    found: list[Any] = []

    def ask(path: Path, key: str) -> list[bench.Figure]:
        with open_registry(str(path)) as session:
            found.append((list(check_rows(session, path.parent)), len(lineage(session=session, key=key).nodes)))
            found.append(best(session=session, **bench.QUESTION))
        return [{"registry": "asked", "measured": "", "goal": "", "is_met": not found[0][0]}]

    monkeypatch.setattr(bench, "_ask", ask)
    return found


def test_it_is_of_the_size_that_its_help_names() -> None:
    assert (bench.NUM_CHECKPOINTS, bench.NUM_CHECKPOINTS * len(bench.METRICS)) == (100_000, 1_000_000)


@pytest.mark.parametrize(("number", "generations"), [(3, 3), (bench.CHAIN + 5, bench.CHAIN)])
def test_a_whole_registry_is_asked_for_the_longest_chain(
    asked: list[Any], capsys: pytest.CaptureFixture[str], number: int, generations: int
) -> None:
    assert bench.run(number)
    rows, nodes = asked[0]
    assert (rows, nodes) == ([], generations + 1)  # and the base model
    assert len(asked[1].winners) == 1
    shown = capsys.readouterr().out
    assert f"{number} checkpoints, {number * 10} scores" in shown
    assert "kB" in shown or "MB" in shown
    assert "filled in " in shown


def test_a_goal_that_is_missed_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for is_met, passes in ((True, True), (None, True), (False, False)):
        figure = {"registry": "x", "measured": "", "goal": "", "is_met": is_met}
        monkeypatch.setattr(bench, "_ask", lambda *_, figure=figure: [figure])
        assert bench.run(1) == passes


def test_a_question_is_asked_several_times_and_the_middle_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []

    def ask() -> None:
        calls.append(None)
        time.sleep(0.02)

    monkeypatch.setattr(bench, "REPEATS", 3)
    monkeypatch.setattr(bench, "GOALS_MS", {"slow": 1.0, "quick": 1e9})
    for what, is_met, goal in (("slow", False, "< 1 ms"), ("quick", True, "< 1000000000 ms"), ("other", None, "")):
        figure = bench._timed(what, ask)
        assert (figure["registry"], figure["is_met"], figure["goal"]) == (what, is_met, goal)
        assert 20 <= float(figure["measured"].partition(" ms")[0]) < 20_000
    assert len(calls) == 9


def test_the_questions_have_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "REPEATS", 1)
    bench.run(2 * bench.CHAIN + 3)
    shown = capsys.readouterr().out
    assert "103 checkpoints, 1,030 scores" in shown
    assert all(what in shown for what in (*bench.GOALS_MS, "show", "list of 50", "find by 12 digits"))
