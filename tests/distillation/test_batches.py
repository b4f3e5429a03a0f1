from pathlib import Path

import pytest
import torch

from gpd.distillation.batches import draw_states, horizon_of_clips, make_batch, make_pool, starts_of
from gpd.distillation.objectives import get_objective
from gpd.distillation.share import Share
from tests.distillation.test_trainer import make_stage, multi_horizon_stage

GPD = get_objective("gpd")


def test_a_batch_holds_its_sources_in_their_shares(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 2, 1, 1, states={"stream": 0.5, "clips": 0.5})
    pool = make_pool(stage, 24, 0, Share())
    pool.fill(6)
    batches = [draw_states(stage, GPD, pool, Share(), n) for n in range(20)]
    num_streamed = sum(int((states.slot >= 0).sum()) for states in batches)
    assert {len(states.latents) for states in batches} == {6}
    assert num_streamed == pytest.approx(60, abs=1)


def test_clips_take_the_shorter_horizons_in_turn_and_streamed_states_keep_the_stages_own(tmp_path: Path) -> None:
    stage = multi_horizon_stage(tmp_path, 1, 2, 4)
    pool = make_pool(stage, 24, 0, Share())
    pool.fill(6)
    for iteration, expected in enumerate((2, 4, 2, 4)):
        assert horizon_of_clips(stage, iteration) == expected
        states = draw_states(stage, GPD, pool, Share(), iteration)
        assert set(states.horizon[states.slot >= 0].tolist()) == {8}
        assert set(states.horizon[states.slot < 0].tolist()) == {expected}
        assert not (states.grid_index % states.horizon).any()  # where inference by such steps starts


def test_a_shorter_step_starts_where_inference_does_and_the_stages_own_anywhere(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 4, 4, 1)
    assert starts_of(stage, GPD, 4).tolist() == list(range(45))
    assert starts_of(stage, GPD, 2).tolist() == list(range(0, 48, 2))


def test_weights_of_each_length_have_mean_one_over_its_starts(tmp_path: Path) -> None:
    stage = multi_horizon_stage(tmp_path, 1, 2)
    states = draw_states(stage, GPD, make_pool(stage, 24, 0, Share()), Share(), 0)
    for horizon in (2, 8):
        starts = starts_of(stage, GPD, horizon)
        rows = states._replace(
            grid_index=starts,
            horizon=torch.full_like(starts, horizon),
            prompt=torch.zeros_like(starts),
            number=starts,
        )
        weight = make_batch(stage, GPD, rows, 0.0).weight
        assert weight.mean().item() == pytest.approx(1.0)
        assert weight.argmin() == 0  # under a shift the first step is the shortest
