"""The online target: the previous student jumps, the guided teacher adds the tail."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gpd.core.sampler import Before, walk, walk_adams
from gpd.core.schedule import Grid
from gpd.core.velocity import Velocity, clean_latent, euler_step, mean_velocity

TailSolver = Literal["euler", "adams"]


class Target(NamedTuple):
    """Where the student's one step shall end, and the mean velocity that takes it there; both [B, C, F, H, W]."""

    end: Tensor
    velocity: Tensor


@torch.no_grad()
def make_target(
    latents: Tensor,
    index: Tensor,
    grid: Grid,
    *,
    horizon: int,
    tail: int,
    teacher: Velocity,
    previous: Velocity | None,
    previous_horizon: int,
    tail_stride: int = 1,
    tail_solver: TailSolver = "euler",
) -> Target:
    """Target of a step over `horizon` grid intervals from state x_i (arXiv 2602.01814; METHOD of this project):

        jump    x[i + k - tail] = x_i walked by the previous student, unguided, in steps of its own horizon
        tail    x[i + k]        = that, walked by the guided teacher, `tail_stride` intervals an evaluation
        target  v* = (x[i + k] - x_i) / (sigma[i + k] - sigma[i])

    Args:
        latents: x_i, [B, C, F, H, W].
        index: i of each sample, [B] int64, at most N - horizon.
        tail: intervals left to the teacher; equal to `horizon` there is no jump, 0 there is no teacher.
        teacher, previous: velocity fields with their text settled; `previous` is None where there is no jump.
        tail_solver: "euler" as published, or "adams": second order at the same cost (`gpd.core.sampler.walk_adams`),
            where the jump's mean velocity stands for the velocity at the middle of its noise levels.
    """
    sigmas = grid.sigmas.to(latents.device)
    end, turn, before = latents, index + horizon - tail, None
    if tail < horizon:
        if previous is None:
            raise ValueError(f"tail {tail} leaves {horizon - tail} intervals to a previous student, and there is none")
        end = walk(previous, end, index, horizon - tail, previous_horizon, grid)
        jump = mean_velocity(latents, end, sigmas[index], sigmas[turn])
        before = Before((sigmas[index] + sigmas[turn]) / 2, jump)
    if tail_solver == "adams":
        end = walk_adams(teacher, end, turn, tail, tail_stride, grid, before)
    else:
        end = walk(teacher, end, turn, tail, tail_stride, grid)
    return Target(end, mean_velocity(latents, end, sigmas[index], sigmas[index + horizon]))


@torch.no_grad()
def consistency_target(
    latents: Tensor, index: Tensor, grid: Grid, *, skip: int, teacher: Velocity, average: Velocity
) -> Target:
    """The rival's target: latent consistency distillation (Luo et al. 2023, arXiv 2310.04378), which has
    the student predict the clean latent from everywhere:

        skip    x[i + n] = x_i walked by the guided teacher in one step of n intervals
        clean   c        = x[i + n] - sigma[i + n] * v_average(x[i + n]);  c = x[N] where the skip ends the trajectory
        target  v*       = (x_i - c) / sigma[i]

    Args:
        index: at most N - skip.
        average: the moving average of the student under training.
    """
    sigmas, timesteps = grid.sigmas.to(latents.device), grid.timesteps.to(latents.device)
    following = index + skip
    reached = euler_step(latents, teacher(latents, timesteps[index]), sigmas[index], sigmas[following])
    inside = following.clamp(max=grid.num_steps - 1)
    clean = clean_latent(reached, average(reached, timesteps[inside]), sigmas[following])  # sigma is 0 at the end
    return Target(clean, mean_velocity(latents, clean, sigmas[index], torch.zeros_like(sigmas[index])))


def chord_states(latents: Tensor, index: Tensor, target: Target, offset: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The rival's states: piecewise rectified flow (Yan et al. 2024, arXiv 2405.07510) trains the mean
    velocity of a window at every point of the straight line between its ends, not at its start alone.

    Args:
        offset: how many intervals into the window each sample moves, [B] int64, 0 .. horizon - 1.

    Returns:
        Latents on the line and their grid indices; the target velocity is the same all along it.
    """
    sigmas = grid.sigmas.to(latents.device)
    moved = index + offset
    return euler_step(latents, target.velocity, sigmas[index], sigmas[moved]), moved


def forwards_per_target(horizon: int, tail: int, previous_horizon: int, tail_stride: int = 1) -> dict[str, int]:
    """Network evaluations of one target by role; the student's own three (forward, backward) come on top."""
    jumps = -(-(horizon - tail) // previous_horizon) if tail < horizon else 0
    return {"previous": jumps, "teacher": 2 * -(-tail // tail_stride)}
