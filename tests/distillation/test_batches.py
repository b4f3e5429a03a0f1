import dataclasses
from collections import Counter
from pathlib import Path

import pytest
import torch

from gpd.distillation.batches import (
    draw_states,
    horizon_of_clips,
    make_batch,
    make_pool,
    mix_of,
    starts_of,
    targets_to_make,
)
from gpd.distillation.objectives import get_objective
from gpd.distillation.processes.share import Share
from gpd.distillation.states import States, clip_states, make_states, rollout_states
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


@pytest.mark.parametrize("number", [2, 3, 6])
def test_processes_share_out_the_samples_of_one(tmp_path: Path, number: int) -> None:
    """Sample by sample; so no two have the same noise levels but by chance."""
    stage = make_stage(tmp_path, 2, 1, 1, states={"stream": 0.4, "clips": 0.3, "rollouts": 0.3})
    trajectory = torch.linspace(1, 0, 49).view(49, 1, 1, 1, 1) * torch.ones(49, *stage.latent_shape)
    stage = dataclasses.replace(stage, rollouts=[(trajectory, 0)])

    def draw(share: Share, iteration: int) -> States:
        pool = make_pool(stage, 24, 0, Share())
        pool.fill(6)
        pool.share, pool.num_taken = share, 5 * iteration
        return draw_states(stage, GPD, pool, share, iteration)

    for iteration in range(4):
        whole = draw(Share(), iteration)
        assert whole.number.tolist() == list(range(6 * iteration, 6 * iteration + 6))
        parts = [draw(Share(index, number), iteration) for index in range(number)]
        for index, part in enumerate(parts):
            assert all(torch.equal(column[index::number], own) for column, own in zip(whole, part, strict=True))


def test_sources_count_their_samples_from_where_the_batch_begins(tmp_path: Path) -> None:
    """The stream's are the pool's next; clips and roll-outs each have the numbers from the batch's first on."""
    stage = make_stage(tmp_path, 2, 1, 1, states={"stream": 0.4, "clips": 0.3, "rollouts": 0.3})
    trajectory = torch.linspace(1, 0, 49).view(49, 1, 1, 1, 1) * torch.ones(49, *stage.latent_shape)
    stage = dataclasses.replace(stage, rollouts=[(trajectory, 0)])
    pool = make_pool(stage, 24, 0, Share())
    pool.fill(6)
    for iteration in range(3):
        mix, first = mix_of(stage, iteration), 6 * iteration
        states = draw_states(stage, GPD, pool, Share(), iteration)
        starts = starts_of(stage, GPD, 2)
        of_clips = clip_states(stage.clips, starts, 2, stage.grid, range(first, first + mix.clips), seed=stage.seed)
        numbers = range(first, first + mix.rollouts)
        of_rollouts = rollout_states(stage.rollouts, starts, 2, numbers, seed=stage.seed)
        both = torch.cat([of_clips.latents, of_rollouts.latents])
        assert mix.clips
        assert mix.rollouts
        assert torch.equal(states.latents[mix.streamed :], both)


def test_the_targets_to_make_are_those_without_a_stored_end(tmp_path: Path) -> None:
    stage = multi_horizon_stage(tmp_path, 1, 2, 4)
    pool = make_pool(stage, 24, 0, Share())
    for iteration in range(4):
        states = draw_states(stage, GPD, pool, Share(), iteration)
        assert targets_to_make(stage, iteration) == Counter(states.horizon[~states.is_known].tolist())


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
    for horizon in (2, 8):
        starts = starts_of(stage, GPD, horizon)
        latents = torch.zeros(len(starts), *stage.latent_shape)
        rows = make_states(latents, starts, horizon, torch.zeros_like(starts))
        weight = make_batch(stage, GPD, rows, 0.0).weight
        assert weight.mean().item() == pytest.approx(1.0)
        assert weight.argmin() == 0  # under a shift the first step is the shortest
