"""Batches to train on: streamed states, noised clips and stored roll-outs in their shares."""

import functools

import torch
from torch import Tensor

from gpd.distillation.losses import step_weights
from gpd.distillation.objectives import Objective
from gpd.distillation.pool import Pool, Steps
from gpd.distillation.schedules import guidance_scale
from gpd.distillation.stage import Stage
from gpd.distillation.starts import start_indices
from gpd.distillation.states import Batch, States, clip_states, join_states, rollout_states, split_batch
from gpd.distillation.walks import walk_from_noise


def make_pool(stage: Stage, num_slots: int, seed: int) -> Pool:
    """Trajectories of the stage's prompts, in steps of its own horizon."""
    steps = Steps(stage.grid.num_steps, stage.params.horizon, stage.is_last)
    walk = functools.partial(walk_from_noise, stage)
    return Pool(num_slots, stage.latent_shape, stage.num_prompts, steps, walk, seed=seed)


def starts_of(stage: Stage, objective: Objective, horizon: int) -> Tensor:
    """Where a step of `horizon` may start: if shorter than the stage's own, where inference by such steps does."""
    if horizon == stage.params.horizon:
        return objective.starts(stage.params, stage.grid.num_steps, stage.is_last)
    return start_indices(stage.grid.num_steps, horizon, is_last=True)


def draw_states(stage: Stage, objective: Objective, pool: Pool, iteration: int, first: int) -> States:
    """States of one batch, whose first sample has the number `first`; the pool gives its part."""
    batch, own, of_clips = stage.params.batch, stage.params.horizon, horizon_of_clips(stage, iteration)
    shares = stage.distill.states
    num_streamed, num_clips, num_rollouts = split_batch(batch, [shares.stream, shares.clips, shares.rollouts], first)
    parts = []
    if num_streamed:
        parts.append(pool.take(num_streamed))
    if num_clips:
        starts, drawn = starts_of(stage, objective, of_clips), {"batch": num_clips, "counter": first}
        parts.append(clip_states(stage.clips, starts, of_clips, stage.grid, **drawn, seed=stage.seed))
    if num_rollouts:
        starts, drawn = starts_of(stage, objective, own), {"batch": num_rollouts, "counter": first}
        parts.append(rollout_states(stage.rollouts, starts, own, **drawn, seed=stage.seed))
    return join_states(parts)


def horizon_of_clips(stage: Stage, iteration: int) -> int:
    """Grid intervals that noised clips are trained at: the shorter horizons in turn, if the student learns any."""
    horizons = stage.distill.horizons or [stage.params.horizon]
    return horizons[iteration % len(horizons)]


def make_batch(stage: Stage, objective: Objective, states: States, first: int, share_of_iterations: float) -> Batch:
    """States with their texts, guidance scales and weights in the loss, on the stage's device."""
    sigma = stage.grid.sigmas.to(stage.device)[states.grid_index.to(stage.device)]
    return Batch(
        first=first,
        states=states.to(stage.device),
        text=stage.text_of(states.prompt),
        guidance_scale=guidance_scale(stage.distill.guidance, sigma, stage.share_of_curriculum, share_of_iterations),
        weight=_weights(stage, objective, states).to(stage.device),
    )


def _weights(stage: Stage, objective: Objective, states: States) -> Tensor:
    """Of each sample in the loss, [B]; by steps over the same horizon, so that each horizon's weights have mean 1."""
    weights = torch.ones(len(states.grid_index))
    if stage.distill.loss_weighting == "step":
        for horizon in states.horizon.unique().tolist():
            rows = states.horizon == horizon
            starts = starts_of(stage, objective, horizon)
            weights[rows] = step_weights(stage.grid.sigmas, states.grid_index[rows], horizon, starts).float()
    return weights
