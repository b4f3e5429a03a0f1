import dataclasses
from pathlib import Path

import pytest
import torch

from gpd.distillation.objectives import get_objective
from gpd.distillation.probe import probe, probe_states
from gpd.distillation.share import Share
from tests.distillation.test_trainer import make_stage

GPD = get_objective("gpd")


@pytest.mark.parametrize("has_clips", [True, False])
def test_the_states_spread_over_the_grid_and_are_the_same_at_every_call(tmp_path: Path, has_clips: bool) -> None:
    stage = make_stage(tmp_path, 8, 4, 1)
    stage = stage if has_clips else dataclasses.replace(stage, clips=[])
    first, second = (probe_states(stage, Share(), 6) for _ in range(2))
    assert sorted(first.grid_index.tolist()) == sorted([0, 8, 16, 24, 32, 40] * 2)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_teacher_itself_has_no_distance_to_its_own_way(tmp_path: Path) -> None:
    """At horizon 1 without guidance, target and true roll-out are the teacher's velocity."""
    stage = make_stage(tmp_path, 1, 1, 1, guidance={"start": 1.0, "end": 1.0})
    found, forwards = probe(stage, GPD, stage.teacher, None, Share(), 6)
    assert found.residual == pytest.approx(0.0, abs=1e-8)
    assert found.rollout_distance == pytest.approx(0.0, abs=1e-4)
    assert forwards == {"probe": 12 * (2 + 2 + 1)}


def test_a_network_that_gives_no_numbers_is_named(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 1, 1, 1)
    with pytest.raises(FloatingPointError, match="distill k1: probed"):
        probe(stage, GPD, lambda latents, timesteps, text: latents * float("nan"), None, Share(), 6)  # type: ignore[arg-type]
