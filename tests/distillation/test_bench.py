"""Figures beside their goals; what takes minutes to measure is left to `gpd bench`."""

import json
import math

import pytest
import torch

from gpd.distillation import bench, speed
from gpd.distillation.bench import Figure, run_train, seconds_of, show, training_figures
from gpd.distillation.speed import Bare, Speed
from gpd.params import Params


@pytest.mark.parametrize(
    ("value", "is_smaller_better", "is_met"),
    [
        (0.9, True, True),
        (1.0, True, True),
        (1.1, True, False),
        (0.9, False, False),
        (1.0, False, True),
        (1.1, False, True),
    ],
)
def test_a_goal_that_is_just_reached_is_met(value: float, is_smaller_better: bool, is_met: bool) -> None:
    assert Figure("what", value, "s", 1.0, is_smaller_better).is_met is is_met


def test_smaller_is_better_unless_said_otherwise() -> None:
    assert Figure("what", 0.0, "s", 1.0).is_met


def test_a_stages_figures_have_the_stated_goals() -> None:
    figures = training_figures("k8", Speed("AVX2", 100.0, 1.1, 0.1, 0.03))
    assert [(figure.value, figure.goal) for figure in figures] == [(1.1, 1.25), (0.1, 0.15), (0.03, 0.02)]
    assert [figure.is_met for figure in figures] == [True, True, False]
    assert all(figure.what.startswith("k8: ") for figure in figures)


def test_the_table_says_which_goals_are_missed(capsys: pytest.CaptureFixture[str]) -> None:
    show([Figure("one", 0.25, "s", 0.5), Figure("two", 3.0, "x", 20.0, is_smaller_better=False)])
    lines = capsys.readouterr().out.splitlines()
    (one,) = [line for line in lines if "one" in line]
    (two,) = [line for line in lines if "two" in line]
    assert [word in one for word in ("0.25 s", "<= 0.5 s", "met")] == [True] * 3
    assert [word in two for word in ("3.00 x", ">= 20 x", "MISSED")] == [True] * 3


def test_a_command_is_timed_in_seconds() -> None:
    assert 0.02 <= seconds_of(["sleep", "0.02"]) < 20


def test_a_student_is_its_forward_and_backward() -> None:
    assert Bare(targets=8.0, forward=1.0, backward=2.0, optimizer=4.0).student == 3.0


def test_the_last_stage_is_measured(
    workspace: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "NUM_STEPS", 4)
    monkeypatch.setattr(speed, "NUM_WARM", 1)
    monkeypatch.setattr(speed, "NUM_ROUNDS", 1)
    states = workspace.distill.states.model_copy(update={"stream": 1.0, "clips": 0.0})
    distill = workspace.distill.model_copy(update={"states": states})
    run_train(workspace.model_copy(update={"distill": distill}), as_json=True)
    measured = Speed(**json.loads(capsys.readouterr().out))
    assert min(measured[1:]) > 0
    assert measured.cpu_capability == torch.backends.cpu.get_cpu_capability()
    assert measured.optimizer_share < measured.step_over_bare
    assert measured.save_stop_share < 1


def test_without_clips_no_reading_is_timed(workspace: Params) -> None:
    assert math.isnan(bench.read_samples_per_second(workspace))
