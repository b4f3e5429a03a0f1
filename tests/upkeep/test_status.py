"""What `gpd status` says: which stages will run, what they took, in which units."""

import json
from pathlib import Path

import pytest

from gpd.documents import RunRecord
from gpd.stages import Stage
from gpd.upkeep import status


def stage(name: str, deps: tuple[str, ...], outs: tuple[str, ...]) -> Stage:
    return Stage(name=name, command="", params=(), deps=deps, outs=outs)


def test_what_reads_a_stale_stages_output_is_stale_too() -> None:
    stages = [
        stage("a", (), ("data/a",)),
        stage("b", ("data/a",), ("data/b/x",)),
        stage("c", ("data/b",), ("data/c",)),
        stage("d", ("gpd/core",), ("data/d",)),
    ]
    known = {each.name: each for each in stages}
    assert status.with_what_follows({"a"}, known) == {"a", "b", "c"}
    assert status.with_what_follows({"d"}, known) == {"d"}
    assert status.with_what_follows(set(), known) == set()


def record(stage: str, minute: int, seconds: int, exit_code: int = 0) -> RunRecord:
    return RunRecord.model_validate(
        {
            "id": f"{stage}{minute}",
            "stage": stage,
            "command": [],
            "params_hash": "",
            "git": {},
            "host": "",
            "flow_run_id": None,
            "started": f"2026-01-01T00:{minute:02}:00+00:00",
            "ended": f"2026-01-01T00:{minute:02}:{seconds:02}+00:00",
            "exit_code": exit_code,
        }
    )


def test_the_latest_run_that_ended_well_counts() -> None:
    runs = [record("encode", 5, 30), record("encode", 2, 10), record("encode", 9, 1, exit_code=1)]
    assert status.last_seconds(runs) == {"encode": 30.0}


def test_a_damaged_record_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(record("encode", 1, 7).model_dump_json())
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.json").write_text(json.dumps({"stage": 3}))
    assert status.last_seconds(status.read_runs(tmp_path)) == {"encode": 7.0}


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (247, "4 min 7 s"), (3600, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    assert status.duration(seconds) == words


def test_a_train_state_that_cannot_be_read_has_a_question_mark(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"iteration": 12}')
    assert status.read_iteration(tmp_path / "state.json") == 12
    (tmp_path / "state.json").write_text("{")
    assert status.read_iteration(tmp_path / "state.json") == "?"
