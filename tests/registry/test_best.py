"""The rules of `best`: one protocol, complete measurements, finite numbers, ties named, a reason for none."""

import json
import math
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, col

from gpd.artifacts import DamagedError, UserError
from gpd.registry import best, find_checkpoint, list_checkpoints, open_registry, scores, sync
from gpd.registry.best import Question, candidates
from gpd.registry.protocols import _differences
from gpd.registry.sql import ask
from gpd.registry.tables import Protocol, Score
from gpd.registry.where import read_where
from tests.registry.conftest import content_of, make_evaluation, make_student, score, subject_of


def add(
    workspace: Path, name: str, error: Any, *, direction: str = "lower", num_samples: int = 8, **protocol: Any
) -> str:
    """One more student of six steps with one score; returns its hash."""
    folder = make_student(workspace, name, 8, workspace / "data/students/k4", text=f"student {name}")
    subject = subject_of(folder, error=error, steps=6)
    subject["metrics"] = {"trajectory_error": score(error, direction, num_samples)}
    make_evaluation(workspace, name, {name: subject}, **protocol)
    return content_of(folder)


def test_the_lowest_error_wins(session: Session, workspace: Path) -> None:
    found = best(session=session, steps=6)
    (winner,) = found.winners
    assert (winner.name, winner.value, winner.paths) == ("k8", 0.0625, ["data/students/k8"])
    assert winner.content == content_of(workspace / "data/students/k8")
    assert (found.direction, found.num_incomplete, found.num_not_finite) == ("lower", 0, 0)


def test_a_headed_winner_is_named_and_left_out_if_asked(workspace: Path, synced: str) -> None:
    """Other programs have no way to sample it."""
    content = add(workspace, "headed", 0.01)
    path = workspace / "data/students/headed/manifest.json"
    raw = json.loads(path.read_text())
    raw.pop("seal", None)
    raw["facts"]["heads"] = 4
    path.write_text(json.dumps(raw))
    assert not sync(url=synced).problems
    with open_registry(synced) as session:
        found, plain = best(session=session, steps=6), best(session=session, steps=6, exportable=True)
        spec = find_checkpoint("best:6", session=session), find_checkpoint("best:6", session=session, exportable=True)
        heads = {row.name: row.heads for row in list_checkpoints(session=session, role="student")}
    assert [(one.content, one.heads) for one in found.winners] == [(content, 4)]
    assert [(one.name, one.heads) for one in plain.winners] == [("k8", None)]
    assert "--exportable leaves it out" in str(found.warning)
    assert "left out, though it is better" in str(plain.warning)
    assert [one.name for one in spec] == ["headed", "k8"]
    assert heads["headed"] == 4
    assert heads["k8"] is None


def test_the_base_model_competes_only_when_asked(session: Session) -> None:
    assert best(session=session, steps=6, role="any").winners[0].subject == "euler-6"
    assert best(session=session, steps=6, role="base").winners[0].name == "tiny-wan"
    assert best(session=session, steps=6, role="base", where={"solver": "unipc"}).winners[0].value == 0.3


@pytest.mark.parametrize(
    ("direction", "winner"), [("lower", 0.5), ("higher", 9.0), ("one", 1.25)], ids=["lower", "higher", "one"]
)
def test_direction(workspace: Path, synced: str, direction: str, winner: float) -> None:
    for number, value in enumerate((-3.0, 0.5, 1.25, 9.0)):
        add(workspace, f"s{number}", value, direction=direction, shift=7.0)
    sync(url=synced)
    with open_registry(synced) as session:
        protocol = _protocol(session, "s0")
        assert best(session=session, steps=6, protocol=protocol).winners[0].value == winner


def test_equally_near_to_one_is_a_tie(workspace: Path, synced: str) -> None:
    both = {
        add(workspace, "above", 1.25, direction="one", shift=7.0),
        add(workspace, "below", 0.75, direction="one", shift=7.0),
    }
    add(workspace, "far", 1.5, direction="one", shift=7.0)
    sync(url=synced)
    with open_registry(synced) as session:
        found = best(session=session, steps=6, protocol=_protocol(session, "far"))
        assert {winner.content for winner in found.winners} == both


def test_ties_are_named(workspace: Path, synced: str) -> None:
    twin = add(workspace, "twin", 0.0625)
    sync(url=synced)
    with open_registry(synced) as session:
        assert {winner.content for winner in best(session=session, steps=6).winners} == {
            twin,
            content_of(workspace / "data/students/k8"),
        }


def test_a_token_that_json_does_not_have_is_a_problem_and_never_best(workspace: Path, synced: str) -> None:
    """Python would write and read it."""
    add(workspace, "broken", 12345.0)
    path = workspace / "data/evaluations/broken/evaluation.json"
    path.write_text(path.read_text().replace("12345.0", "NaN"))
    (problem,) = sync(url=synced).problems
    assert "broken/evaluation.json" in problem
    assert "NaN" in problem
    with open_registry(synced) as session:
        assert best(session=session, steps=6).winners[0].name == "k8"


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "-Infinity", None])
def test_what_is_not_finite_is_kept_and_never_best(workspace: Path, synced: str, value: Any) -> None:
    add(workspace, "broken", value)
    sync(url=synced)
    with open_registry(synced) as session:
        found = best(session=session, steps=6)
        assert (found.winners[0].name, found.num_not_finite) == ("k8", 1)
        kept = scores(session=session, content=content_of(workspace / "data/students/broken"))
        assert kept[0].value in ("nan", "inf", "-inf")


@pytest.mark.parametrize("metric", ["trajectory_error", "motion_ratio"])
def test_an_error_or_a_ratio_below_zero_is_never_best(workspace: Path, synced: str, metric: str) -> None:
    subject = subject_of(make_student(workspace, "broken", 8, workspace / "data/students/k4"), error=0.5, steps=6)
    for name in subject["metrics"]:
        subject["metrics"][name]["value"] = -0.001
    make_evaluation(workspace, "broken", {"broken": subject})
    sync(url=synced)
    with open_registry(synced) as session:
        found = best(session=session, steps=6, metric=metric)
        assert (found.winners[0].name, found.num_not_finite) == ("k8", 1)
        board = ask(session=session, query=f"SELECT name FROM leaderboard WHERE metric = '{metric}' AND steps = 6")
        assert "broken" not in [name for (name,) in board.rows]


def test_below_zero_can_be_best_if_higher_is_better(workspace: Path, synced: str) -> None:
    subject = subject_of(workspace / "data/students/k8", error=0.5, steps=6)
    subject["metrics"] = {"correlation": score(-0.5, "higher")}
    make_evaluation(workspace, "k8", {"k8": subject})
    sync(url=synced)
    with open_registry(synced) as session:
        assert best(session=session, steps=6, metric="correlation").winners[0].value == -0.5


@pytest.mark.parametrize("written", ["'great'", "9e999", "-9e999", "x'00'"])
def test_what_somebody_wrote_into_the_file_past_us_is_never_best(
    workspace: Path, synced_sqlite: Path, tmp_path: Path, written: str
) -> None:
    file = shutil.copy(synced_sqlite, tmp_path / "registry.db")
    with sqlite3.connect(file) as database:
        k8 = "evaluation IN (SELECT id FROM evaluation WHERE subject = 'k8')"
        changed = database.execute(f"UPDATE score SET value = {written} WHERE metric = 'psnr' AND {k8}")
        assert changed.rowcount == 1
    with open_registry(str(file)) as session:
        with pytest.raises(DamagedError, match="evaluation "):
            best(session=session, steps=6, metric="psnr")
        board = ask(session=session, query="SELECT name FROM leaderboard WHERE metric = 'psnr' AND steps = 6")
        assert "k8" not in [name for (name,) in board.rows]


def test_incomplete_evaluations_do_not_count(workspace: Path, synced: str) -> None:
    add(workspace, "hasty", 0.0001, num_samples=7)  # of 4 prompts with 2 seeds
    sync(url=synced)
    with open_registry(synced) as session:
        found = best(session=session, steps=6)
        assert (found.winners[0].name, found.num_incomplete) == ("k8", 1)


def test_a_metric_of_fewer_samples_by_its_nature_counts(workspace: Path, synced: str) -> None:
    folder = workspace / "data/students/k8"
    subject = subject_of(folder, error=0.5, steps=6)
    subject["metrics"]["diversity"] = score(0.9, "one", num_samples=2)
    make_evaluation(workspace, "k8", {"k8": subject})
    sync(url=synced)
    with open_registry(synced) as session:
        assert best(session=session, steps=6, metric="diversity").winners[0].num_samples == 2


def test_protocols_are_never_compared_in_silence(workspace: Path, synced: str) -> None:
    add(workspace, "other", 0.001, shift=3.0)
    sync(url=synced)
    with open_registry(synced) as session:
        found = best(session=session, steps=6)  # of the protocol of most evaluations here
        assert (found.winners[0].name, found.protocol) == ("k8", _protocol(session, "k8"))
        other = _protocol(session, "other")
        assert found.note == (
            f"protocol {found.protocol[:12]}, that of this workspace's evaluations; "
            f"--protocol chooses another: {other[:12]} (shift=3.0)"  # only what differs
        )
        assert best(session=session, steps=6, protocol=other).note is None
        assert best(session=session, steps=6, protocol=_protocol(session, "k8")[:8]).winners[0].name == "k8"
        assert best(session=session, steps=6, protocol=_protocol(session, "other")).winners[0].name == "other"
        with pytest.raises(UserError, match=r"protocol 'ffffffff': not in the registry; there is"):
            best(session=session, steps=6, protocol="ffffffff")
        with pytest.raises(UserError, match=r"protocol '' is ambiguous"):
            best(session=session, steps=6, protocol="")


def test_the_protocol_of_this_workspace_comes_before_the_most_used(workspace: Path, synced: str) -> None:
    add(workspace, "other", 0.001, shift=3.0)
    sync(url=synced)
    for path in workspace.glob("data/evaluations/*"):
        if path.name != "other":
            shutil.rmtree(path)
    with open_registry(synced) as session:
        assert best(session=session, steps=6).winners[0].name == "other"
        elsewhere = best(session=session, steps=6, workspace=workspace / "data")
        assert elsewhere.winners[0].name == "k8"
        assert elsewhere.note
        assert "of most checkpoints (5)" in elsewhere.note
        spec = f"best:6@{_protocol(session, 'k8')[:8]}"
        assert find_checkpoint(spec, session=session).name == "k8"
        assert find_checkpoint("best:6", session=session).name == "other"


def test_a_student_of_several_step_counts_is_measured_at_each(workspace: Path, synced: str) -> None:
    folder = workspace / "data/students/k8"
    several = {f"k8-{steps}": subject_of(folder, error=0.001 * steps, steps=steps) for steps in (2, 4, 6)}
    make_evaluation(workspace, "several", several)
    sync(url=synced)
    with open_registry(synced) as session:
        for steps in (2, 4, 6):
            assert best(session=session, steps=steps).winners[0].value == 0.001 * steps
        assert find_checkpoint("best:4", session=session).path == Path("data/students/k8")


def test_what_was_never_here_wins_only_alone(workspace: Path, synced: str) -> None:
    subject = subject_of(workspace / "data/students/k8", error=0.001, steps=6)
    make_evaluation(workspace, "far", {"far": {**subject, "checkpoint": "f" * 64}})
    make_evaluation(workspace, "alone", {"far": {**subject, "checkpoint": "f" * 64, "steps": 5}})
    sync(url=synced)
    with open_registry(synced) as session:
        found = best(session=session, steps=6)
        assert (found.winners[0].name, found.num_never_seen) == ("k8", 1)
        assert best(session=session, steps=5, exportable=True).winners[0].content == "f" * 64


def test_a_protocol_in_which_nothing_can_win_does_not_ask_for_a_choice(workspace: Path, synced: str) -> None:
    add(workspace, "other", "nan", shift=3.0)
    sync(url=synced)
    with open_registry(synced) as session:
        assert best(session=session, steps=6).winners[0].name == "k8"


def _protocol(session: Session, subject: str) -> str:
    row = session.connection().execute(text("SELECT protocol FROM evaluation WHERE subject = :name"), {"name": subject})
    return str(row.scalars().first())


@pytest.mark.parametrize(
    "where",
    [
        {"guidance.start": "6"},
        {"guidance.start": "6.0", "guidance.axis": "stage"},
        {"horizon": "8"},
        {"stage": "k8", "solver": "euler", "guidance_scale": "1"},
        {"learning_rate": "8e-4"},
    ],
)
def test_where_restricts(session: Session, where: dict[str, str]) -> None:
    assert best(session=session, steps=6, where=where).winners[0].name == "k8"


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"metric": "trajectori_eror"}, "nothing was measured by it; did you mean trajectory_error?"),
        ({"metric": "\0"}, "nothing was measured by it"),
        ({"metric": "x'; DROP TABLE score; --"}, "nothing was measured by it"),
        ({"steps": 7}, "nothing was measured by trajectory_error with 7 steps; steps measured: 6, 12, 24, 48"),
        ({"where": {"horizn": "8"}}, "--where horizn: no such name; did you mean horizon?"),
        ({"where": {"horizon": "eight"}}, "--where horizon: horizon is a number, not 'eight'"),
        ({"where": {"learning_rate": "1"}}, "the others do not match role student, learning_rate=1"),
        ({"steps": 12, "role": "base"}, "the others do not match role base"),
    ],
)
def test_nothing_found_says_why_and_what_there_is(session: Session, question: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        best(**{"session": session, "steps": 6, **question})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_directions_that_contradict_each_other(workspace: Path, synced: str) -> None:
    add(workspace, "odd", 0.001, direction="higher")
    sync(url=synced)
    with open_registry(synced) as session, pytest.raises(UserError, match="disagree whether lower or higher is better"):
        best(session=session, steps=6)


def test_the_index_answers(synced_sqlite: Path) -> None:
    with open_registry(str(synced_sqlite)) as session:
        for direction in ("lower", "higher"):
            found = candidates(
                Question(6, "psnr", restrictions=read_where({"horizon": "8"}, session).conditions), "a" * 64
            )
            plan = _plan(session, found.where(col(Score.direction) == direction))
            assert any("ix_score_metric_protocol_steps_direction_value" in step for step in plan)
            assert not any(step.startswith("SCAN") or "TEMP B-TREE" in step for step in plan)


def _plan(session: Session, statement: Any) -> list[str]:
    ordered = statement.order_by(Score.value).limit(1)
    compiled = ordered.compile(session.connection(), compile_kwargs={"literal_binds": True})
    return [row[-1] for row in session.connection().execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]


EIGHTHS = st.integers(-40, 40).map(lambda number: number / 8)  # exact sums, and ties now and then
VALUES = st.lists(EIGHTHS | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=6)


@pytest.mark.parametrize("direction", ["lower", "higher", "one"])
def test_best_is_what_sorting_says(direction: str, made_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=15, deadline=None)
    @given(VALUES)
    def law(values: list[float]) -> None:
        path = tmp_path_factory.mktemp("law") / "registry.db"
        path.write_bytes(made_sqlite.read_bytes())
        _check_against_sorting(str(path), values, direction)

    law()


def _check_against_sorting(url: str, values: list[float], direction: str) -> None:
    from gpd.registry.engine import make_engine, registry_url, writing
    from gpd.registry.recording import record
    from tests.registry.rows import evaluation_rows

    with writing(make_engine(registry_url(url))) as connection:
        for number, value in enumerate(values):
            record(connection, evaluation_rows(number, value, direction))
    finite = [value for value in values if math.isfinite(value) and (direction == "higher" or value >= 0)]
    with open_registry(url) as session:
        if not finite:
            with pytest.raises(UserError, match=f"{len(values)} not a finite number"):
                best(session=session, steps=6, metric="m")
            return
        badness = {"lower": float, "higher": lambda value: -value, "one": lambda value: abs(value - 1)}[direction]
        least = min(map(badness, finite))
        found = best(session=session, steps=6, metric="m")
        assert len(found.winners) == sum(badness(value) == least for value in finite)
        assert {badness(winner.value) for winner in found.winners} == {least}
        assert found.num_not_finite == len(values) - len(finite)


@pytest.fixture
def its_own(workspace: Path, synced_sqlite: Path) -> str:
    """A SQLite registry that knows the workspace; the test may record more."""
    return str(shutil.copy(synced_sqlite, workspace / "registry.db"))


def test_a_teacher_that_was_never_here_is_no_student(workspace: Path, its_own: str) -> None:
    """It is the one of the protocol; under another one's protocol it competes as any other."""
    subject = subject_of(workspace / "data/students/k8", error=0.001, steps=6)
    for name, teacher in (("its own", "f" * 64), ("another's", "e" * 64)):
        make_evaluation(workspace, name, {"it": {**subject, "checkpoint": "f" * 64}}, teacher=teacher)
    sync(url=its_own)
    with open_registry(its_own) as session:
        protocols: dict[str, str] = dict(ask(session=session, query=SOURCES).rows)  # type: ignore[arg-type]
        under = {name: protocols[f"data/evaluations/{name}"] for name in ("its own", "another's")}
        with pytest.raises(UserError, match="do not match role student"):
            best(session=session, steps=6, protocol=under["its own"])
        assert best(session=session, steps=6, protocol=under["its own"], role="base").winners[0].content == "f" * 64
        assert best(session=session, steps=6, protocol=under["another's"]).winners[0].content == "f" * 64


SOURCES = "SELECT DISTINCT source, protocol FROM evaluation"


def test_of_protocols_only_those_in_which_something_wins_are_a_choice(workspace: Path, its_own: str) -> None:
    add(workspace, "broken", "nan", shift=3.0)
    sync(url=its_own)
    with open_registry(its_own) as session:
        found = best(session=session, steps=6)
        assert (found.winners[0].name, found.note) == ("k8", None)
        with pytest.raises(
            UserError, match=r"no 6-step checkpoint can win by trajectory_error under protocol \w{12}: "
        ):
            best(session=session, steps=6, protocol=_protocol(session, "broken"))


def test_why_nothing_was_found_under_a_protocol(workspace: Path, its_own: str) -> None:
    add(workspace, "hasty", 0.1, num_samples=7, shift=3.0)
    sync(url=its_own)
    with open_registry(its_own) as session:
        hasty = _protocol(session, "hasty")
        under = f"under protocol {hasty[:12]}"
        for question, said in (
            ({}, f"can win by trajectory_error {under}: 1 incomplete, 0 not a finite number or below 0, "),
            ({"steps": 7}, f"with 7 steps {under}; steps measured: 6"),
            ({"metric": "psnr"}, f"nothing was measured by psnr with 6 steps {under}; steps measured: none"),
            ({"where": ["horizon = 8", "stage=x"]}, "the others do not match role student, horizon = 8, stage=x"),
            ({"where": {"horizon": "8"}}, "the others do not match role student, horizon=8"),
            ({"exportable": True, "role": "any"}, "the others do not match role any, --exportable"),
        ):
            with pytest.raises(UserError) as caught:
                best(**{"session": session, "steps": 6, "protocol": hasty, **question})
            assert said in str(caught.value)


def test_a_tie_names_twenty(made_sqlite: Path, tmp_path: Path) -> None:
    from gpd.registry.engine import make_engine, registry_url, writing
    from gpd.registry.recording import record
    from tests.registry.rows import evaluation_rows

    url = str(shutil.copy(made_sqlite, tmp_path / "registry.db"))
    with writing(make_engine(registry_url(url))) as connection:
        for number in range(22):
            record(connection, evaluation_rows(number, 0.0, "lower"))
    with open_registry(url) as session:
        found = best(session=session, steps=6, metric="m")
        assert (len(found.winners), found.is_tie, found.num_never_seen) == (20, True, 22)
        contents = [one.content for one in found.winners]
        assert contents == sorted(contents)


def test_a_protocol_says_what_it_has_and_another_lacks() -> None:
    one, other = (Protocol(hash="a", fields=fields) for fields in ({"a": 1, "b": 2.0}, {"b": 2, "c": "x"}))
    assert _differences(one, other) == "a=None, c='x'"
    assert _differences(one, one) == ""
