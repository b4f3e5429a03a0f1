"""Measures a network on fixed states spread over the grid, before and after a stage."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gpd.core.randomness import Stream, seed_of
from gpd.distillation.batches import make_batch, make_pool
from gpd.distillation.costs import probe_forwards
from gpd.distillation.divergence import DivergedError
from gpd.distillation.objectives import Objective
from gpd.distillation.processes.share import Share, pieces
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch, States, clip_states, join_states
from gpd.distillation.states.starts import start_indices
from gpd.distillation.states.walks import walk_forwards
from gpd.distillation.targets import Route, make_target
from gpd.documents import Probed


class Measured(NamedTuple):
    """What was found, and the forwards by role that it took: "probe" and those of walks."""

    result: Probed
    forwards: dict[str, int]


@torch.no_grad()
def probe(
    stage: Stage, objective: Objective, network: nn.Module, average: nn.Module | None, share: Share, at_once: int
) -> Measured:
    """The residual against the online target in the objective's terms, and the distance to the true roll-out:
    |v - v_true| / |v_true|, v_true the mean velocity of the guided teacher walked `horizon` intervals one by one; both
    in the mean over states.

    Each process measures its share of the states, `at_once` at a time.

    Raises:
        DivergedError: one of them is not finite.
    """
    number, states = stage.distill.probe.num_states, probe_states(stage, share, at_once)
    measured = [torch.zeros(0, 2, device=stage.device)]
    for some in pieces(len(states.number), at_once):
        batch = make_batch(stage, objective, states.rows(some), share_of_iterations=1.0)
        velocity, residual = objective.probed(stage, batch, network, average)
        truth = true_velocity(stage, batch)
        distance = (velocity - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)
        measured.append(torch.stack([residual, distance], 1).float())
    residual, distance = share.together(torch.cat(measured), number).T.contiguous()
    means = {"residual": residual.mean().item(), "rollout_distance": distance.mean().item()}
    if not all(map(math.isfinite, means.values())):
        raise DivergedError(f"distill {stage.name}: probed {means}")
    return Measured(Probed.model_validate(means), _forwards(stage))


def true_velocity(stage: Stage, batch: Batch) -> Tensor:
    """Mean velocity of the guided teacher's own way over the stage's horizon."""
    states, route = batch.states, Route(stage.params.horizon, tail=stage.params.horizon)
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    return make_target(states.latents, states.grid_index, stage.grid_on_device, route, teacher=teacher).velocity


def probe_states(stage: Stage, share: Share, at_once: int) -> States:
    """This process' part of noised clip latents, or of coarse walks if there are no clips; the same at every call."""
    places, seed = _places(stage), seed_of(stage.distill.seed, Stream.PROBE)
    if stage.clips:
        horizon, grid = stage.params.horizon, stage.grid
        parts = [
            clip_states(stage.clips, places[n][None], horizon, grid, [n], seed=seed)
            for n in share.own(range(len(places)))
        ]
        return join_states(parts)
    pool = make_pool(stage, len(places), seed, share)
    for some in torch.arange(len(places)).split(at_once * share.number):
        pool.start(some, places[some])
    return pool.take(len(places))


def _places(stage: Stage) -> Tensor:
    """Grid indices of the states, spread over where steps start."""
    starts = start_indices(stage.grid.num_steps, stage.params.horizon, stage.is_final)
    number = stage.distill.probe.num_states
    return starts[torch.arange(number) * len(starts) // number]


def _forwards(stage: Stage) -> dict[str, int]:
    spent = {"probe": probe_forwards(stage.distill, stage.params, stage.previous_horizon)}
    walked = {} if stage.clips else walk_forwards(_places(stage), stage.previous is not None)
    return spent | walked
