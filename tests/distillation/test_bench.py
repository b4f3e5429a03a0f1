"""Figures beside their goals; what takes minutes to measure is left to `gpd bench`."""

import json
import math
from typing import Any

import pytest
import torch

from gpd.distillation import bench, speed
from gpd.distillation.bench import Figure, run_train, seconds_of, show, training_figures
from gpd.distillation.speed import Bare, Speed
from gpd.models import onednn
from gpd.params import Params
from tests.curricula import doubling_profile


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


MEASURED = Speed("AVX2", forwards_per_second=60.0, step_over_bare=1.0, optimizer_share=0.1, save_stop_share=0.01)


def test_all_figures_stand_beside_their_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hand-made measurements: the real ones take minutes."""
    params = Params.model_validate(doubling_profile())
    shown: list[Figure] = []
    asked: list[str] = []
    monkeypatch.setattr(bench, "seconds_of", lambda command: float(len(command)))
    monkeypatch.setattr(speed, "measure", lambda params, name: asked.append(name) or MEASURED)
    monkeypatch.setattr(speed, "forwards_of_sample", lambda params, name: 6.0)
    monkeypatch.setattr(bench, "read_samples_per_second", lambda params: 300.0)
    monkeypatch.setattr(bench, "onednn_ratio", lambda params, name: {"k1": 0.5}[name])
    monkeypatch.setattr(bench, "growth_mib", lambda params, name: {"k1": 4.0}[name])
    monkeypatch.setattr(bench, "show", shown.extend)
    monkeypatch.setattr(onednn, "is_available", lambda: True)
    bench.run(params)
    assert asked == ["k1", "k2", "k4", "k8"]
    reading = [figure for figure in shown if figure.what.endswith("reading shards over consuming them")]
    assert [figure[1:] for figure in reading] == [(30.0, "x", 20.0, False)] * 4  # 300 over 60 / 6
    assert [figure[1:] for figure in shown[:2]] == [(2.0, "s", 0.5, True), (2.0, "s", 5.0, True)]
    assert [figure[1:] for figure in shown[-2:]] == [(0.5, "x", 0.9, True), (4.0, "MiB", 16.0, True)]
    assert len(shown) == 2 + 4 * 4 + 2


def test_memory_is_that_between_two_moments_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB before the first, 32 between them."""
    kept: list[bytearray] = []

    def loop(params: Any, name: str, iterations: int, note: Any) -> None:
        for iteration in range(1, iterations + 1):
            kept.append(bytearray({20: 64, 140: 32}.get(iteration, 0) << 20))
            note(iteration)

    monkeypatch.setattr(speed, "step_seconds", loop)
    assert bench.growth_mib(Params.model_validate(doubling_profile()), "k1") == pytest.approx(32, abs=4)


def test_onednn_is_timed_beside_mkl_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []

    def seconds(params: Any, name: str, prepare: Any = None) -> tuple[float, ...]:
        calls.append(prepare is None)
        return (1.0, 0.5) if prepare is None else (float(len(calls)), 1.0)

    monkeypatch.setattr(speed, "bare_seconds", seconds)
    assert bench.onednn_ratio(Params.model_validate(doubling_profile()), "k1") == 1.5 / 5.0  # of those over 3, 5 and 7
    assert calls == [True, False] * 3
