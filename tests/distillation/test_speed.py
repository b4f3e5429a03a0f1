from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from gpd.distillation.costs import target_forwards
from gpd.distillation.speed import NUM_STEPS, bare_seconds_of, evaluate_networks, noise_batch, save_stop_seconds_of
from gpd.distillation.train_state import MARKER
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


@pytest.mark.parametrize("changes", [{}, CONSISTENCY])
def test_a_stage_is_timed_by_its_parts(tmp_path: Path, changes: dict[str, Any]) -> None:
    stage = make_stage(tmp_path, 8, 8, 1, **changes)
    bare = bare_seconds_of(stage, Accelerator(cpu=True))
    assert min(bare) > 0
    assert stage.teacher.num_forwards == 6 * NUM_STEPS * (2 if changes else 16)


def test_a_save_is_timed_without_its_writing(tmp_path: Path) -> None:
    assert save_stop_seconds_of(make_stage(tmp_path), Accelerator(cpu=True)) > 0
    assert (tmp_path / MARKER).is_file()
