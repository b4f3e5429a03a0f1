"""The online target: the previous student jumps, the guided teacher adds the tail."""

from typing import NamedTuple

import torch
from torch import Tensor

from gpd.sampler import walk
from gpd.schedule import Grid
from gpd.velocity import Velocity, mean_velocity


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
) -> Target:
    """Target of a step over `horizon` grid intervals from state x_i (arXiv 2602.01814; METHOD of this project):

        jump    x[i + k - tail] = x_i walked by the previous student, unguided, in steps of its own horizon
        tail    x[i + k]        = that, walked by the guided teacher, one interval at a time
        target  v* = (x[i + k] - x_i) / (sigma[i + k] - sigma[i])

    Args:
        latents: x_i, [B, C, F, H, W].
        index: i of each sample, [B] int64, at most N - horizon.
        tail: intervals left to the teacher; equal to `horizon` there is no jump, 0 there is no teacher.
        teacher, previous: velocity fields with their text settled; `previous` is None where there is no jump.
    """
    end = latents
    if tail < horizon:
        if previous is None:
            raise ValueError(f"tail {tail} leaves {horizon - tail} intervals to a previous student, and there is none")
        end = walk(previous, end, index, horizon - tail, previous_horizon, grid)
    end = walk(teacher, end, index + horizon - tail, tail, 1, grid)
    sigmas = grid.sigmas.to(latents.device)
    return Target(end, mean_velocity(latents, end, sigmas[index], sigmas[index + horizon]))


def forwards_per_target(horizon: int, tail: int, previous_horizon: int) -> dict[str, int]:
    """Network evaluations of one target by role; the student's own three (forward, backward) come on top."""
    jumps = -(-(horizon - tail) // previous_horizon) if tail < horizon else 0
    return {"previous": jumps, "teacher": 2 * tail}
