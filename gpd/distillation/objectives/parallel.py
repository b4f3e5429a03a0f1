"""Parallel decoding distillation (Shaul et al. 2026, arXiv 2607.26004): one forward predicts the increments of all
intervals of a block, each by a last layer of its own; the guided teacher corrects one of them where the student's own
way has got to."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.core.randomness import Stream, integers_of
from gpd.core.schedule import Grid, make_grid
from gpd.core.velocity import Velocity, euler_step
from gpd.distillation.copies import send
from gpd.distillation.losses import square_residual, step_weights
from gpd.distillation.objectives import Lesson, Objective, Probing, heads_learn_alone
from gpd.distillation.stage import Stage
from gpd.distillation.starts import start_indices
from gpd.distillation.states import Batch
from gpd.models.heads import check_timesteps, mixture
from gpd.models.network import VideoNetwork
from gpd.params import Distill, Params, StageParams


class Point(NamedTuple):
    """An interval of each sample's block: where the block starts, where it ends, where the interval starts; [B]."""

    start: Tensor
    end: Tensor
    interval: Tensor


class Block(NamedTuple):
    """What a student predicts of a block in one forward: mean velocities over parts of it, each [B, C, F, H, W].

    Attributes:
        before: from the block's start to the interval's.
        velocity: over the interval itself.
        whole: over the whole block.
    """

    before: Tensor
    velocity: Tensor
    whole: Tensor


def mix_of(sigmas: Tensor, point: Point) -> Tensor:
    """The shares of heads in the parts of a `Block`, [B, 3, N]."""
    parts = [(point.start, point.interval), (point.interval, point.interval + 1), (point.start, point.end)]
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
    """With heads u_n(k) = W_k H(x_n, sigma_n), k of each sample drawn in [n, n + L), L the stage's horizon:

    inside  x_k  = x_n + sum over j = n .. k - 1 of (sigma[j + 1] - sigma[j]) u_n(j)
    loss    | u_n(k) - v_teacher(stopgrad x_k, sigma_k) |^2
    end     x[n + L], by the student itself
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
        grid, point, states = stage.grid_on_device, point_of(stage, batch), batch.states
        block = block_of(student, stage, batch, point)
        weight = torch.ones_like(batch.weight)
        if stage.distill.loss_weighting == "step":
            everywhere = torch.arange(grid.num_steps, device=stage.device)
            weight = step_weights(grid.sigmas, point.interval, 1, everywhere).to(batch.weight.dtype)
        sigmas = grid.sigmas
        end = euler_step(states.latents, block.whole.detach(), sigmas[point.start], sigmas[point.end])
        return Lesson(block.velocity, increment(stage, batch, block, point), weight, end)

    def probed(self, stage: Stage, batch: Batch, network: Any, average: nn.Module | None) -> Probing:
        """The block's mean velocity, and the residual of one of its increments."""
        point = point_of(stage, batch)
        block = block_of(network, stage, batch, point)
        return Probing(block.whole, square_residual(block.velocity, increment(stage, batch, block, point)))

    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """Guided evaluations of one increment."""
        return {"teacher": 2 * EVALUATIONS[distill.increment]}


def point_of(stage: Stage, batch: Batch) -> Point:
    """The interval that is drawn for each sample."""
    start, horizon = batch.states.grid_index, stage.params.horizon
    offset = integers_of(horizon, stage.seed, Stream.INCREMENT, batch.numbers)
    return Point(start, start + horizon, start + send(offset, stage.device))


def block_of(network: Any, stage: Stage, batch: Batch, point: Point) -> Block:
    """One forward of a headed network."""
    grid = stage.grid_on_device
    mix = mix_of(grid.sigmas, point)
    parts: Tensor = network(batch.states.latents, grid.timesteps[point.start], batch.text, mix=mix)
    return Block(*parts.unbind(1))


@torch.no_grad()
def increment(stage: Stage, batch: Batch, block: Block, point: Point) -> Tensor:
    """The target of the interval's velocity: the teacher where the student's own way has got to."""
    grid = stage.grid_on_device
    start, here = grid.sigmas[point.start], grid.sigmas[point.interval]
    latents = euler_step(batch.states.latents, block.before.detach(), start, here)
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    return INCREMENTS[stage.distill.increment](teacher, latents, point.interval, grid)


OBJECTIVE = Parallel()
