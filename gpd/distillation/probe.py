"""Measures a network on fixed states spread over the grid, before and after a stage."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gpd.core.randomness import Stream, seed_of
from gpd.distillation.batches import make_batch, make_pool
from gpd.distillation.costs import probe_forwards
from gpd.distillation.losses import square_residual
from gpd.distillation.objectives import Objective
from gpd.distillation.stage import Stage
from gpd.distillation.starts import start_indices
from gpd.distillation.states import Batch, States, clip_states, join_states
from gpd.distillation.targets import Route, make_target
from gpd.distillation.walks import walk_forwards
from gpd.documents import Probed


class Measured(NamedTuple):
    """What was found, and the forwards by role that it took: "probe" and those of walks."""

    result: Probed
    forwards: dict[str, int]


@torch.no_grad()
def probe(stage: Stage, objective: Objective, network: nn.Module, average: nn.Module | None) -> Measured:
    """The residual against the online target, and the distance to the true roll-out: |v - v_true| / |v_true|, v_true
    the mean velocity of the guided teacher walked `horizon` intervals one by one; both in the mean over states.

    Raises:
        FloatingPointError: one of them is not finite.
    """
    states = probe_states(stage)
    residuals, distances = [], []
    for first in range(0, len(states.latents), stage.params.batch):
        part = States(*(column[first : first + stage.params.batch] for column in states))
        batch = make_batch(stage, objective, part, first, share_of_iterations=1.0)
        index = batch.states.grid_index
        velocity = network(batch.states.latents, stage.grid.timesteps.to(stage.device)[index], batch.text)
        truth = true_velocity(stage, batch)
        residuals.append(square_residual(velocity, objective.target(stage, batch, average).velocity))
        distances.append((velocity - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1))
    means = {"residual": torch.cat(residuals).mean().item(), "rollout_distance": torch.cat(distances).mean().item()}
    if not all(map(math.isfinite, means.values())):
        raise FloatingPointError(f"distill {stage.name}: probed {means}")
    return Measured(Probed.model_validate(means), _forwards(stage, states))


def true_velocity(stage: Stage, batch: Batch) -> Tensor:
    """Mean velocity of the guided teacher's own way over the stage's horizon."""
    states, route = batch.states, Route(stage.params.horizon, tail=stage.params.horizon)
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    return make_target(states.latents, states.grid_index, stage.grid, route, teacher=teacher).velocity


def probe_states(stage: Stage) -> States:
    """Noised clip latents, or coarse walks if there are no clips; the same at every call of a stage."""
    number, seed = stage.distill.probe.num_states, seed_of(stage.distill.seed, Stream.PROBE)
    starts = start_indices(stage.grid.num_steps, stage.params.horizon, stage.is_last)
    places = starts[torch.arange(number) * len(starts) // number]
    if stage.clips:
        horizon, grid = stage.params.horizon, stage.grid
        parts = [
            clip_states(stage.clips, place[None], horizon, grid, batch=1, counter=n, seed=seed)
            for n, place in enumerate(places)
        ]
        return join_states(parts)
    pool = make_pool(stage, number, seed)
    for some in torch.arange(number).split(stage.params.batch):
        pool.start(some, places[some])
    return pool.take(number)


def _forwards(stage: Stage, states: States) -> dict[str, int]:
    spent = {"probe": probe_forwards(stage.distill, stage.params, stage.previous_horizon)}
    walked = {} if stage.clips else walk_forwards(states.grid_index, stage.previous is not None)
    return spent | walked
