"""Parallel decoding distillation (Shaul et al. 2026, arXiv 2607.26004): one forward predicts the increments of all
intervals of a block, each by a last layer of its own; the guided teacher corrects one of them where the student's own
way has got to."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.core.randomness import Stream, integers_of
from gpd.core.sampler import Before, adams_step
from gpd.core.schedule import Grid, make_grid
from gpd.core.velocity import Velocity, euler_step, per_sample
from gpd.distillation.copies import send
from gpd.distillation.losses import square_residual, step_weights
from gpd.distillation.objectives import Lesson, Objective, Probing, heads_learn_alone
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch
from gpd.distillation.states.starts import start_indices
from gpd.models.heads import check_timesteps, mixture
from gpd.models.network import VideoNetwork
from gpd.params import Distill, Params, StageParams


class Point(NamedTuple):
    """An interval of each sample's block, as grid indices [B].

    Attributes:
        start, end: of the block.
        turn: where the teacher's part of it ends and the student's begins.
        interval: where the interval starts.
    """

    start: Tensor
    end: Tensor
    turn: Tensor
    interval: Tensor

    @property
    def entry(self) -> Tensor:
        """Where the student's own way to the interval begins: at the turn, or nowhere if the teacher leads past it."""
        return torch.minimum(self.turn, self.interval)


class Block(NamedTuple):
    """What a student predicts of a block in one forward: mean velocities over parts of it, each [B, C, F, H, W].

    Attributes:
        before: from the turn to the interval's start.
        velocity: over the interval itself.
        rest: from the turn to the block's end.
    """

    before: Tensor
    velocity: Tensor
    rest: Tensor


class Driven(NamedTuple):
    """The teacher's part of a block, [B, C, F, H, W]: where it meets the student's way to the interval, and its end."""

    entry: Tensor
    turn: Tensor


def mix_of(sigmas: Tensor, point: Point) -> Tensor:
    """The shares of heads in the parts of a `Block`, [B, 3, N]."""
    parts = [(point.entry, point.interval), (point.interval, point.interval + 1), (point.turn, point.end)]
    return torch.stack([mixture(sigmas, first, last) for first, last in parts], 1)


@torch.no_grad()
def euler_increment(teacher: Velocity, latents: Tensor, index: Tensor, grid: Grid) -> Tensor:
    """The teacher's velocity at x_k: one guided evaluation."""
    return teacher(latents, grid.timesteps[index])


@torch.no_grad()
def midpoint_increment(teacher: Velocity, latents: Tensor, index: Tensor, grid: Grid) -> Tensor:
    """That in the middle of the interval, where half an Euler step of the teacher leads: two guided evaluations."""
    middle = (grid.sigmas[index] + grid.sigmas[index + 1]) / 2
    halfway = euler_step(latents, euler_increment(teacher, latents, index, grid), grid.sigmas[index], middle)
    return teacher(halfway, (TIMESTEPS * middle).to(latents.dtype))


TIMESTEPS = 1000
INCREMENTS = {"euler": euler_increment, "midpoint": midpoint_increment}
EVALUATIONS = {"euler": 1, "midpoint": 2}


class Parallel(Objective):
    """With heads u_n(k) = W_k H(x_n, sigma_n), k of each sample drawn in [n, n + L), L the stage's horizon, and t, to
    which the teacher leads (`num_driven`), n unless distill.teacher_share says otherwise:

    driven  x_j  = x_n walked by the guided teacher, j = n .. t
    inside  x_k  = x_t + sum over j = t .. k - 1 of (sigma[j + 1] - sigma[j]) u_n(j)    for k > t
    loss    | u_n(k) - v_teacher(stopgrad x_k, sigma_k) |^2
    end     x[n + L], by the student from x_t
    """

    def excludes(self, distill: Distill) -> Iterator[str]:
        """Factors, stored ends, shorter horizons, jumps."""
        yield from heads_learn_alone(distill, "parallel")

    def prepare(self, student: VideoNetwork, params: Params, name: str) -> None:
        """A last layer for each grid interval, if it has not got them from the stage before."""
        model, key = params.model, "params.yaml: distill.objective='parallel'"
        if student.last_layer is None:
            raise UserError(f"{key}: {type(student).__name__} of model.path={model.path} has no single last layer")
        where = f"{key}: model.grid_steps={model.grid_steps}, model.shift={model.shift:g}"
        check_timesteps(make_grid(model.grid_steps, model.shift), where)
        if student.heads is None:
            student.grow_heads(model.grid_steps)

    def starts(self, params: StageParams, num_steps: int, is_final: bool) -> Tensor:
        """Wherever a block has room; in a final stage where inference starts."""
        return start_indices(num_steps, params.horizon, is_final)

    def asked(self, stage: Stage, batch: Batch) -> dict[str, Tensor]:
        """The three parts of the block."""
        return {"mix": mix_of(stage.grid_on_device.sigmas, point_of(stage, batch))}

    def lesson(self, stage: Stage, batch: Batch, student: Callable[..., Tensor], average: nn.Module | None) -> Lesson:
        """One increment of each sample's block."""
        grid, point = stage.grid_on_device, point_of(stage, batch)
        block, driven = block_of(student, stage, batch, point), drive(stage, batch, point)
        weight = torch.ones_like(batch.weight)
        if stage.distill.loss_weighting == "step":
            everywhere = torch.arange(grid.num_steps, device=stage.device)
            weight = step_weights(grid.sigmas, point.interval, 1, everywhere).to(batch.weight.dtype)
        sigmas = grid.sigmas
        end = euler_step(driven.turn, block.rest.detach(), sigmas[point.turn], sigmas[point.end])
        return Lesson(block.velocity, increment(stage, batch, block, point, driven.entry), weight, end)

    def probed(self, stage: Stage, batch: Batch, network: Any, average: nn.Module | None) -> Probing:
        """The block's mean velocity, and the residual of one of its increments where the network's own way leads."""
        point = point_of(stage, batch)
        point = point._replace(turn=point.start)
        block = block_of(network, stage, batch, point)
        target = increment(stage, batch, block, point, batch.states.latents)
        return Probing(block.rest, square_residual(block.velocity, target))

    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """Guided evaluations of one increment, and of the teacher's part of the block."""
        walked = -(-num_driven(distill, params.horizon, 0.0) // distill.teacher_walk.stride)
        return {"teacher": 2 * (walked + EVALUATIONS[distill.increment])}


def num_driven(distill: Distill, horizon: int, progress: float) -> int:
    """Intervals of a block of L that the teacher walks when a share p of the iterations is done:

        t - n = round(r L),    r = start + (end - start) p

    r falls from 1 to 0 in the scheduled mixing of Chen et al. 2025 (pi-Flow, arXiv 2510.14974); 0 throughout is Shaul
    et al., whose states are the student's own; 1 throughout takes all states from the teacher's way.
    """
    return math.floor(distill.teacher_share.at(progress) * horizon + 0.5)


def point_of(stage: Stage, batch: Batch) -> Point:
    """The interval that is drawn for each sample."""
    start, horizon = batch.states.grid_index, stage.params.horizon
    offset = integers_of(horizon, stage.seed, Stream.INCREMENT, batch.numbers)
    turn = start + num_driven(stage.distill, horizon, batch.progress)
    return Point(start, start + horizon, turn, start + send(offset, stage.device))


@torch.no_grad()
def drive(stage: Stage, batch: Batch, point: Point) -> Driven:
    """The guided teacher's walk from the start to the turn, by distill.teacher_walk."""
    grid, walk = stage.grid_on_device, stage.distill.teacher_walk
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    index, turn, before = point.start, batch.states.latents, None
    entry, number = turn, num_driven(stage.distill, stage.params.horizon, batch.progress)
    for _ in range(-(-number // walk.stride)):
        here, following = Before(grid.sigmas[index], teacher(turn, grid.timesteps[index])), index + walk.stride
        following = torch.minimum(following, point.turn)
        inside = adams_step(turn, here, grid.sigmas[torch.minimum(point.entry, following)], before)
        entry = torch.where(per_sample(point.entry > index, turn).bool(), inside, entry)
        turn = adams_step(turn, here, grid.sigmas[following], before)
        index, before = following, here if walk.solver == "adams" else None
    return Driven(entry, turn)


def block_of(network: Any, stage: Stage, batch: Batch, point: Point) -> Block:
    """One forward of a headed network."""
    grid = stage.grid_on_device
    mix = mix_of(grid.sigmas, point)
    parts: Tensor = network(batch.states.latents, grid.timesteps[point.start], batch.text, mix=mix)
    return Block(*parts.unbind(1))


@torch.no_grad()
def increment(stage: Stage, batch: Batch, block: Block, point: Point, entry: Tensor) -> Tensor:
    """The target of the interval's velocity: the teacher where the student's own way from `entry` has got to."""
    grid = stage.grid_on_device
    latents = euler_step(entry, block.before.detach(), grid.sigmas[point.entry], grid.sigmas[point.interval])
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    return INCREMENTS[stage.distill.increment](teacher, latents, point.interval, grid)


OBJECTIVE = Parallel()
