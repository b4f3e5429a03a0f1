"""What a stage's lines tell, what may be tried again, what is decided at night: without a server."""

import logging
import math
from pathlib import Path

import pytest

from flows import nightly, process, stages
from flows.ablate import combinations, label_of
from flows.checkpoints import Checkpoint
from flows.results import result_rows
from flows.shown import shown_url
from gpd.artifacts import UserError, write_json


def test_progress_is_read_from_a_line() -> None:
    progress = stages.parse_progress("distill k1: 35/350 loss 0.1234")
    assert progress == stages.Progress("distill k1", 35, 350, "loss 0.1234")
    assert progress.percent == 10.0
    assert stages.parse_progress("evaluate k8: 6/6") == stages.Progress("evaluate k8", 6, 6, "")
    assert stages.parse_progress("> gpd distill k1") is None
    assert stages.parse_progress("report: /a/1/2.html") is None


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


def test_a_flood_is_one_record_and_dvcs_hints_are_none(caplog: pytest.LogCaptureFixture) -> None:
    listener = stages.Listener("distill@k1", logging.getLogger("stage"))
    with caplog.at_level(logging.INFO):
        listener(["To track the changes with git, run:", "\tgit add dvc.lock", "done"])
        listener([f"line {number}" for number in range(1000)])
    assert [len(record.getMessage().splitlines()) for record in caplog.records] == [1, 1000]


def test_keys_of_artifacts_are_lower_case_with_dashes() -> None:
    assert stages.slug("rate=1e-4: Distill@K8") == "rate-1e-4-distill-k8"


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


def test_scores_of_another_protocol_are_not_compared() -> None:
    metrics = {"m": {"value": 0.1, "direction": "lower"}}
    evaluation = nightly.Evaluation("k8", "new", "one", metrics)

    def champion(content: str, protocol: str) -> Checkpoint:
        score = {"metric": "m", "protocol": protocol, "is_complete": True, "value": 0.5}
        return Checkpoint(content, "k8", (score,))

    assert nightly.judge(evaluation, champion("old", "one"), "m", 0.02).is_promoted
    assert "nothing can be compared" in nightly.judge(evaluation, champion("old", "other"), "m", 0.02).because
    assert "already" in nightly.judge(evaluation, champion("new", "one"), "m", 0.02).because
    with pytest.raises(UserError, match="metric 'x': the evaluation has m"):
        nightly.judge(evaluation, None, "x", 0.02)


def test_rows_have_the_students_first_and_no_number_for_what_was_not_measured(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("evaluate: {subjects: {teacher: {}, k8: {}, k8-abc: {}}}")
    evaluations = tmp_path / "data" / "evaluations"
    write_json(evaluations / "k4" / "metrics.json", {"k4": {"forwards": 12}})  # in git, of other params
    write_json(evaluations / "k8" / "metrics.json", {"k8": {"forwards": 6, "trajectory_error": 0.21662}})
    write_json(evaluations / "k8-abc" / "metrics.json", {"k8": {"forwards": 6}})
    write_json(
        evaluations / "teacher" / "metrics.json", {"teacher-48": {"forwards": 96}, "teacher-6": {"forwards": 12}}
    )
    rows = result_rows(tmp_path)
    assert [row["subject"] for row in rows] == ["k8", "k8-abc", "teacher-6", "teacher-48"]
    assert (rows[0]["trajectory_error"], rows[1]["trajectory_error"]) == (0.2166, "-")


def test_no_password_is_shown() -> None:
    assert shown_url("postgresql://gpd:secret@host/gpd") == "postgresql://host/gpd"
    assert shown_url("postgresql://host/gpd?user=gpd&password=secret") == "postgresql://host/gpd"
    assert shown_url("/a/registry.db") == "/a/registry.db"
