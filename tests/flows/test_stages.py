"""What a stage's lines tell, what may be tried again, what is decided at night: without a server."""

import math
from typing import Any

import pytest

from flows import nightly, process, stages
from flows.ablate import combinations, label_of
from flows.checkpoints import Checkpoint, place_of
from flows.pipeline import describe_run, some_of
from flows.results import Measured, result_rows
from flows.shown import shown_url
from gpd.artifacts import UserError
from gpd.documents import Score, SubjectScores


def test_the_status_of_the_stages_own_command_counts() -> None:
    line = "ERROR: failed to reproduce 'distill@k1': failed to run: gpd distill k1, exited with 2"
    assert stages.child_status(process.StageFailedError("distill@k1", 255, ["gpd: no", line])) == 2
    assert stages.child_status(process.StageFailedError("distill@k1", 137, ["gone"])) == 137


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (process.StageFailedError("a", 1, []), True),
        (process.StageFailedError("a", 137, []), True),
        (process.StageFailedError("a", 2, []), False),
        (process.StoppedError("a"), False),
        (OSError("disk"), True),
    ],
)
def test_what_may_be_tried_again(error: Exception, expected: bool) -> None:
    assert stages.may_be_retried(error) == expected


def test_nothing_is_tried_again_while_the_flow_stops() -> None:
    process.stop_all()
    try:
        assert not stages.may_be_retried(process.StageFailedError("a", 1, []))
    finally:
        process.start_again()


def test_a_grid_is_every_combination() -> None:
    found = combinations({"distill.seed": [0, 1], "distill.teacher_walk.stride": [1, 4]})
    assert len(found) == 4
    assert label_of(found[1]) == "seed=0 stride=4"
    assert combinations({}) == [{}]
    with pytest.raises(ValueError, match=r"distill\.seed has no values"):
        combinations({"distill.seed": []})


@pytest.mark.parametrize(
    ("candidate", "champion", "direction", "is_promoted"),
    [
        (0.20, None, "lower", True),
        (0.97, 1.00, "lower", True),
        (0.99, 1.00, "lower", False),
        (1.03, 1.00, "higher", True),
        (1.01, 1.00, "higher", False),
        (1.00, 0.90, "one", True),
        (1.11, 0.90, "one", False),
        (-1.0, -1.0, "lower", False),
        (0.20, math.nan, "lower", True),
        (math.nan, 0.20, "lower", False),
        (math.nan, None, "higher", False),
    ],
)
def test_better_is_better_by_the_margin(
    candidate: float, champion: float | None, direction: str, is_promoted: bool
) -> None:
    assert nightly.decide("m", candidate, champion, direction, 0.02).is_promoted == is_promoted


def scores(checkpoint: str, **changes: Any) -> SubjectScores:
    score = Score(value=0.1, num_samples=4, spread=None, direction="lower")
    known = {"checkpoint": checkpoint, "solver": "euler", "steps": 6, "guidance_scale": 1.0, "forwards": 6}
    return SubjectScores(**{**known, "metrics": {"m": score}, **changes})


def test_scores_of_another_protocol_are_not_compared() -> None:
    student = Measured("k8", "one", False, scores("new"))

    def champion(content: str, protocol: str) -> Checkpoint:
        score = {"metric": "m", "protocol": protocol, "is_complete": True, "value": 0.5}
        return Checkpoint(content, "k8", (score,))

    assert nightly.judge(student, champion("old", "one"), "m", 0.02).is_promoted
    assert "nothing can be compared" in nightly.judge(student, champion("old", "other"), "m", 0.02).because
    assert "already" in nightly.judge(student, champion("new", "one"), "m", 0.02).because
    with pytest.raises(UserError, match="metric 'x': the evaluation has m"):
        nightly.judge(student, None, "x", 0.02)


def test_the_champion_meets_a_student_of_as_many_steps() -> None:
    students = [Measured(f"{steps} steps", "one", False, scores("new", steps=steps)) for steps in (12, 6, 3)]
    teacher = Measured("teacher", "one", True, scores("base", steps=6))
    champion = Checkpoint("old", "k8", ({"steps": 6},))
    assert nightly.contender([teacher, *students], champion).name == "6 steps"
    assert nightly.contender([teacher, *students], Checkpoint("old", "k12", ({"steps": 4},))).name == "3 steps"
    assert nightly.contender(students, None).name == "3 steps"


def test_a_metric_that_was_not_measured_has_no_number() -> None:
    error = Score(value=0.21662, num_samples=4, spread=None, direction="lower")
    metrics: list[dict[str, Score]] = [{"trajectory_error": error}, {}]
    rows = result_rows([Measured("k8", "one", False, scores("a", metrics=one)) for one in metrics])
    assert [row["trajectory_error"] for row in rows] == [0.2166, "-"]


def test_no_password_is_shown() -> None:
    assert shown_url("postgresql://gpd:secret@host/gpd") == "postgresql+psycopg://gpd:***@host/gpd"
    assert shown_url("postgresql://host/gpd?password=secret") == "postgresql+psycopg://host/gpd?password=***"
    assert shown_url("/a/registry.db") == "/a/registry.db"


@pytest.mark.parametrize(("name", "is_kept"), [("My second try", True), ("try-2", True), ("prudent-lemur", False)])
def test_a_name_that_a_person_typed_is_kept(name: str, is_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", name)
    found = describe_run("distill", {"overrides": {"distill.seed": 3}})
    assert (found == name) == is_kept
    assert is_kept or (found.startswith("distill ") and found.endswith(" seed=3"))


def test_of_many_changes_the_deciding_ones_are_named() -> None:
    written = [f"data/evaluations/s{number}/metrics.json" for number in range(9)]
    assert some_of([*written, "dvc.lock", "gpd/cli.py", "params.yaml"]).startswith("params.yaml, gpd/cli.py, data/")
    assert some_of([*written, "params.yaml"]).endswith(" and 5 more")
    assert some_of(["a"]) == "a"


def test_a_checkpoint_stands_in_for_a_stage_of_its_horizon() -> None:
    params = {"distill": {"stages": {"k4": {"horizon": 4}, "k8": {"horizon": 8}, "k8-fold": {"horizon": 8}}}}
    assert place_of(params, "k8", 8) == "k8"
    assert place_of(params, "mine", 4) == "k4"
    assert place_of(params, "mine", 8) == "k8-fold"
    assert place_of(params, "k8", 4) == "k4"  # another model's k8
    with pytest.raises(UserError, match=r"'k16': its horizon is 16; params\.yaml: distill\.stages has none"):
        place_of(params, "k16", 16)
