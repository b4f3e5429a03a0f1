"""Figures beside their goals: of the real parts on the smallest model, by clocks that make them known beforehand."""

import json
import math
import subprocess
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from gpd.artifacts import UserError
from gpd.distillation import bench, speed
from gpd.distillation.bench import Figure, run_train, seconds_of, show, training_figures
from gpd.distillation.loading import make_stage
from gpd.distillation.saving import train_state
from gpd.distillation.speed import Bare, Speed
from gpd.models import onednn
from gpd.models.network import VideoNetwork
from gpd.params import Params
from tests.distillation.clocks import WorkClock, look_clock


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


def rows_of(text: str) -> list[list[str]]:
    """Cells of a printed table."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line[:1] == "│"]


def test_the_table_says_which_goals_are_missed(capsys: pytest.CaptureFixture[str]) -> None:
    show([Figure("one", 0.25, "s", 0.5), Figure("two", 3.0, "x", 20.0, is_smaller_better=False)])
    assert rows_of(capsys.readouterr().out) == [
        ["one", "0.25 s", "<= 0.5 s", "met"],
        ["two", "3.00 x", ">= 20 x", "MISSED"],
    ]


def test_a_command_is_timed_in_silence_and_must_end_well(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "time", look_clock())
    assert seconds_of(["echo", "words"]) == 1.0
    assert capfd.readouterr().out == ""
    with pytest.raises(subprocess.CalledProcessError):
        seconds_of(["false"])


def test_a_student_is_its_forward_and_backward() -> None:
    assert Bare(targets=8.0, forward=1.0, backward=2.0, optimizer=4.0).student == 3.0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch, miniature: Params) -> Params:
    """The miniature with counting clocks, one round of everything and four iterations a round."""
    monkeypatch.setattr(speed, "time", WorkClock())
    for module in (bench, train_state):
        monkeypatch.setattr(module, "time", look_clock())
    for module, name, value in ((speed, "NUM_STEPS", 4), (speed, "NUM_ROUNDS", 1), (bench, "NUM_ROUNDS", 1)):
        monkeypatch.setattr(module, name, value)
    return patient(miniature)


def patient(params: Params) -> Params:
    """Four seconds lie between two saves."""
    return params.model_copy(update={"distill": params.distill.model_copy(update={"save_every_seconds": 4})})


# Of a sample of the miniature one guided evaluation is the target, three forwards are the student's own; a batch is 2.
STEP = 2 * (2 + 3) + 1  # the optimiser's
FORWARDS_PER_SECOND = 2 * 5 / STEP


def test_the_speed_of_a_stage_by_hand(clocks: Params, capsys: pytest.CaptureFixture[str]) -> None:
    with speed.time.running():
        run_train(clocks, as_json=True)
    measured = Speed(**json.loads(capsys.readouterr().out))
    assert measured == Speed(
        torch.backends.cpu.get_cpu_capability(),
        forwards_per_second=pytest.approx(FORWARDS_PER_SECOND),
        step_over_bare=pytest.approx(STEP / 10),
        optimizer_share=pytest.approx(1 / 6),
        save_stop_share=1 / 4,  # from one look to the next, of four
    )


def test_the_last_stage_is_the_one_that_is_measured(clocks: Params, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two, of which the first could not even be opened."""
    stage = clocks.distill.stages["k4"]
    stages = {"k2": stage.model_copy(update={"horizon": 2, "tail": 2, "previous": "nowhere"}), "k4": stage}
    params = clocks.model_copy(update={"distill": clocks.distill.model_copy(update={"stages": stages})})
    with speed.time.running():
        run_train(params, as_json=False)
    out = capsys.readouterr().out
    assert out.startswith(f"k4 on a CPU with {torch.backends.cpu.get_cpu_capability()}: 0.9 forwards/s")
    assert [row[:2] for row in rows_of(out)] == [
        ["k4: train step over its bare evaluations", "1.10 x"],
        ["k4: optimiser over forward and backward", "0.17 x"],
        ["k4: a save's stop over the time between saves", "0.25 x"],
    ]


def test_all_figures_stand_beside_their_goals(
    clocks: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "COMMANDS", {"nothing": (["true"], 0.5)})
    monkeypatch.setattr(bench, "NUM_BEFORE", 2)
    monkeypatch.setattr(bench, "NUM_MORE", 3)
    monkeypatch.setattr(onednn, "is_available", lambda: True)  # as on a processor with AVX-512
    with speed.time.running():
        bench.run(clocks)
    *rows, memory = rows_of(capsys.readouterr().out)
    assert rows == [
        ["nothing", "1.00 s", "<= 0.5 s", "MISSED"],
        ["k4: train step over its bare evaluations", "1.10 x", "<= 1.25 x", "met"],
        ["k4: optimiser over forward and backward", "0.17 x", "<= 0.15 x", "MISSED"],
        ["k4: a save's stop over the time between saves", "0.25 x", "<= 0.02 x", "MISSED"],
        # two samples in four seconds, beside a loop that takes two in eleven
        ["k4: reading shards over consuming them", "2.75 x", ">= 20 x", "MISSED"],
        ["k4: evaluations by oneDNN over those by MKL", "1.00 x", "<= 0.9 x", "MISSED"],
    ]
    assert memory[0] == "k4: memory that 3 iterations more take"
    assert memory[2:] == ["<= 16 MiB", "met"]


def test_what_cannot_be_trained_is_not_measured(miniature: Params) -> None:
    changed = miniature.distill.model_copy(update={"objective": "flow_map"})
    params = miniature.model_copy(update={"distill": changed})
    for measure in (bench.run, lambda some: run_train(some, as_json=True)):
        with pytest.raises(UserError, match=r"distill\.objective='flow_map'"):
            measure(params)


def test_the_commands_that_are_timed_are_those_that_have_a_goal() -> None:
    assert bench.COMMANDS == {
        "gpd --help": (["gpd", "--help"], 0.5),
        "dvc repro with nothing to do": (["dvc", "repro"], 5.0),
    }


def test_without_clips_no_reading_is_timed(workspace: Params) -> None:
    assert math.isnan(bench.read_samples_per_second(workspace))


def test_memory_is_what_the_iterations_in_between_take(miniature: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each forward of the student keeps 16 MiB: of four iterations 64."""
    monkeypatch.setattr(bench, "NUM_BEFORE", 2)
    monkeypatch.setattr(bench, "NUM_MORE", 4)
    kept: list[bytearray] = []

    def keep(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        if isinstance(module, VideoNetwork) and output.requires_grad:
            kept.append(bytearray(b"1") * (16 << 20))

    before = psutil.Process().memory_info().rss
    hook = register_module_forward_hook(keep)
    grown = bench.growth_mib(miniature, "k4")
    hook.remove()
    assert len(kept) == 6
    assert grown == pytest.approx(64, abs=12)
    assert grown < (psutil.Process().memory_info().rss - before) / 2**20


def test_mkl_takes_the_place_of_onednn_and_nothing_else_changes(miniature: Params, tmp_path: Path) -> None:
    stage = make_stage(miniature, "k4", tmp_path, torch.device("cpu"))
    layers = [layer for network in (stage.teacher, stage.student) for layer in network.modules()]
    kinds = [type(layer) for layer in layers]
    for layer in layers:
        if type(layer) is nn.Linear:
            layer.__class__ = onednn.Linear
    assert any(isinstance(layer, onednn.Linear) for layer in layers)
    bench._use_mkl(stage)
    assert [type(layer) for layer in layers] == kinds
