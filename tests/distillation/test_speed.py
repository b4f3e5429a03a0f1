import statistics
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from gpd.distillation import speed
from gpd.distillation.costs import target_forwards
from gpd.distillation.saving import train_state
from gpd.distillation.saving.train_state import MARKER
from gpd.distillation.speed import (
    NUM_STEPS,
    Bare,
    bare_seconds_of,
    evaluate_networks,
    noise_batch,
    save_stop_seconds_of,
    short_stage,
    step_seconds,
)
from gpd.params import Params
from tests.distillation.clocks import WorkClock, look_clock
from tests.distillation.test_trainer import make_stage

CONSISTENCY = {"objective": "consistency", "states": {"stream": 0.0, "clips": 1.0}}


@pytest.mark.parametrize(
    ("horizon", "tail", "changes"), [(1, 1, {}), (2, 1, {}), (8, 4, {}), (8, 8, {"objective": "piecewise_flow"})]
)
def test_the_bare_evaluations_are_those_that_a_target_costs(
    tmp_path: Path, horizon: int, tail: int, changes: dict[str, Any]
) -> None:
    stage = make_stage(tmp_path, horizon, tail, 1, **changes)
    evaluate_networks(stage, stage.student, noise_batch(stage, stage.params.batch))
    expected = target_forwards(stage.distill, stage.params, stage.previous_horizon)
    assert stage.teacher.num_forwards == 6 * expected["teacher"]
    if stage.previous is not None:
        assert stage.previous.num_forwards == 6 * expected["previous"]


@pytest.mark.parametrize("at_once", ["", "2"])
@pytest.mark.parametrize(("changes", "of_target"), [({}, 16), (CONSISTENCY, 2 + 1)])
def test_a_stage_is_timed_by_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], of_target: int, at_once: str
) -> None:
    """A batch of 6 by hand, whether it goes through the networks at once or in three parts."""
    monkeypatch.setattr(speed, "time", WorkClock())
    monkeypatch.setenv("GPD_MICRO_BATCH", at_once)
    stage = make_stage(tmp_path, 8, 8, 1, **changes)
    with speed.time.running():
        bare = bare_seconds_of(stage, Accelerator(cpu=True))
    assert bare == Bare(targets=6 * of_target, forward=6, backward=2 * 6, optimizer=1)
    assert stage.teacher.num_forwards == (2 if at_once else 6) * NUM_STEPS * (2 if changes else 16)


def test_the_first_rounds_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that is slow at first: of the median of the last two rounds it is not seen, of all four it is."""
    monkeypatch.setattr(speed, "time", clock := WorkClock())
    found = []
    for num_warm in (2, 0):
        stage, calls = make_stage(tmp_path, 1, 1, 1), iter((1000, 100, 0, 0))
        stage.teacher.register_forward_hook(lambda *_, calls=calls: clock.pass_by(next(calls)))
        with clock.running():
            found.append(bare_seconds_of(stage, Accelerator(cpu=True), num_rounds=4, num_warm=num_warm).targets)
    assert found == [12.0, 12.0 + statistics.median([1000, 100, 0, 0])]


def test_a_batch_of_noise_has_all_texts_in_turn_and_the_guidance_of_the_beginning(tmp_path: Path) -> None:
    guidance = {"start": 6.0, "end": 1.5, "axis": "iteration"}
    batch = noise_batch(make_stage(tmp_path, 8, 8, 1, guidance=guidance), 6)
    assert batch.text[:, 0, 0].tolist() == [1.0, -1.0, 0.5, 2.0, 1.0, -1.0]
    assert batch.guidance_scale.tolist() == [6.0] * 6
    assert batch.states.latents.std().item() == pytest.approx(1.0, abs=0.1)
    assert batch.states.horizon.tolist() == [8] * 6


def test_an_iteration_of_the_loop_is_timed_from_report_to_report(
    miniature: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target's two forwards and the student's three for a batch of 2, and the optimiser, without the first two."""
    monkeypatch.setattr(speed, "time", WorkClock())
    seen: list[int] = []
    with speed.time.running():
        assert step_seconds(miniature, "k4", 6, seen.append) == [2 * (2 + 3) + 1.0] * 3
    assert seen == [1, 2, 3, 4, 5, 6]


def test_reports_that_are_far_between_give_the_time_of_one_iteration(
    miniature: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "time", WorkClock())
    monkeypatch.setitem(speed.REPORT_EVERY, "cpu", 3)
    seen: list[int] = []
    with speed.time.running():
        assert step_seconds(miniature, "k4", 4, seen.append) == [11.0]
    assert seen == [3, 6, 9, 12]


def test_what_is_timed_is_the_loop_alone(miniature: Params, tmp_path: Path) -> None:
    strip = {"strip": {"every": 8, "num_prompts": 3}, "num_states": 12}
    distill = miniature.distill.model_validate(miniature.distill.model_dump() | {"probe": strip})
    params = miniature.model_copy(update={"distill": distill})
    stage = short_stage(params, "k4", 7, tmp_path, Accelerator(cpu=True))
    assert (stage.params.iterations, stage.distill.pool_slots) == (7, stage.params.batch)
    assert (stage.distill.probe.num_states, stage.distill.probe.strip) == (1, None)
    assert stage.distill.save_every_seconds > 365 * 24 * 3600


def test_a_save_is_timed_without_its_writing_and_without_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_state, "time", look_clock())
    assert save_stop_seconds_of(make_stage(tmp_path), Accelerator(cpu=True)) == 1.0  # from one look to the next
    assert (tmp_path / MARKER).is_file()
