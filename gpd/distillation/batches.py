"""Batches to train on: streamed states, noised clips and stored roll-outs in their shares."""

import functools
from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor

from gpd.distillation.copies import send
from gpd.distillation.losses import step_weights
from gpd.distillation.objectives import Objective
from gpd.distillation.processes.share import Share
from gpd.distillation.schedules import guidance_scale
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch, States, clip_states, join_states, rollout_states, split_batch
from gpd.distillation.states.pool import Pool, Steps
from gpd.distillation.states.starts import start_indices
from gpd.distillation.states.walks import walk_from_noise


def make_pool(stage: Stage, num_slots: int, seed: int, share: Share) -> Pool:
    """Trajectories of the stage's prompts, in steps of its own horizon."""
    steps = Steps(stage.grid.num_steps, stage.params.horizon, stage.is_final)
    walk = functools.partial(walk_from_noise, stage)
    return Pool(num_slots, stage.latent_shape, stage.num_prompts, steps, walk, seed=seed, share=share)


def starts_of(stage: Stage, objective: Objective, horizon: int) -> Tensor:
    """Where a step of `horizon` may start: if shorter than the stage's own, where inference by such steps does."""
    if horizon == stage.params.horizon:
        return objective.starts(stage.params, stage.grid.num_steps, stage.is_final)
    return start_indices(stage.grid.num_steps, horizon, is_final=True)


class Mix(NamedTuple):
    """How many samples of a batch come from each source; they lie in it in this order."""

    streamed: int
    clips: int
    rollouts: int


def mix_of(stage: Stage, iteration: int) -> Mix:
    """Of an iteration's batch, that of all processes together."""
    shares, batch = stage.distill.states, stage.params.batch
    return Mix(*split_batch(batch, [shares.stream, shares.clips, shares.rollouts], iteration * batch))


def targets_to_make(stage: Stage, iteration: int) -> Counter[int]:
    """How many samples of an iteration's batch have no stored end, by horizon."""
    mix = mix_of(stage, iteration)
    return Counter({stage.params.horizon: mix.streamed}) + Counter({horizon_of_clips(stage, iteration): mix.clips})


def draw_states(stage: Stage, objective: Objective, pool: Pool, share: Share, iteration: int) -> States:
    """This process' states of an iteration's batch; what they are follows from their numbers, not from the process."""
    mix, own, of_clips = mix_of(stage, iteration), stage.params.horizon, horizon_of_clips(stage, iteration)
    first = iteration * stage.params.batch
    rows = share.own(range(stage.params.batch))
    parts = [pool.take(mix.streamed)] if mix.streamed else []
    if numbers := [first + row - mix.streamed for row in rows if 0 <= row - mix.streamed < mix.clips]:
        starts = starts_of(stage, objective, of_clips)
        parts.append(clip_states(stage.clips, starts, of_clips, stage.grid, numbers, seed=stage.seed))
    before = mix.streamed + mix.clips
    if numbers := [first + row - before for row in rows if row >= before]:
        parts.append(rollout_states(stage.rollouts, starts_of(stage, objective, own), own, numbers, seed=stage.seed))
    return objective.vary(stage, join_states(parts)._replace(number=torch.tensor(rows) + first))


def horizon_of_clips(stage: Stage, iteration: int) -> int:
    """Grid intervals that noised clips are trained at: the shorter horizons in turn, if the student learns any."""
    horizons = stage.distill.horizons or [stage.params.horizon]
    return horizons[iteration % len(horizons)]


def make_batch(stage: Stage, objective: Objective, states: States, share_of_iterations: float) -> Batch:
    """States with their texts, guidance scales and weights in the loss, on the stage's device."""
    sigma, device = stage.grid.sigmas[states.grid_index], stage.device
    scale = guidance_scale(stage.distill.guidance, sigma, stage.share_of_curriculum, share_of_iterations)
    return Batch(
        numbers=states.number.tolist(),
        states=states.to(device),
        to_make={horizon: send(rows, device) for horizon, rows in _rows_to_make(states).items()},
        text=stage.text_of(states.prompt),
        guidance_scale=send(scale, device),
        weight=send(_weights(stage, objective, states), device),
        progress=share_of_iterations,
    )


def _rows_to_make(states: States) -> dict[int, Tensor]:
    lengths = states.horizon.masked_fill(states.is_known, 0)
    return {horizon: (lengths == horizon).nonzero()[:, 0] for horizon in lengths.unique().tolist() if horizon}


def _weights(stage: Stage, objective: Objective, states: States) -> Tensor:
    """Of each sample in the loss, [B]; by steps over the same horizon, so that each horizon's weights have mean 1."""
    weights = torch.ones(len(states.grid_index))
    if stage.distill.loss_weighting == "step":
        for horizon in states.horizon.unique().tolist():
            rows = states.horizon == horizon
            starts = starts_of(stage, objective, horizon)
            weights[rows] = step_weights(stage.grid.sigmas, states.grid_index[rows], horizon, starts).float()
    return weights
