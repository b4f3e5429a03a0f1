"""Where a step shall end: the previous student jumps, the guided teacher walks the rest (docs/method.md)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gpd.core.sampler import Before, walk, walk_adams
from gpd.core.schedule import Grid
from gpd.core.velocity import Velocity, mean_velocity


class Target(NamedTuple):
    """Where the student's one step shall end, and the mean velocity that takes it there; both [B, C, F, H, W]."""

    end: Tensor
    velocity: Tensor


class Route(NamedTuple):
    """How a target gets from one end of a step to the other.

    Attributes:
        horizon: grid intervals of the step.
        tail: the last of them, left to the teacher; if it is `horizon` there is no jump, if it is 0 no teacher.
        previous_horizon: grid intervals of one step of the previous student; 0 if there is none.
        stride: grid intervals that one evaluation of the teacher covers.
        solver: "euler" as published, or "adams": second order at the same cost (`gpd.core.sampler.walk_adams`), where
            the jump's mean velocity stands for the velocity at the middle of its noise levels.
    """

    horizon: int
    tail: int
    previous_horizon: int = 0
    stride: int = 1
    solver: Literal["euler", "adams"] = "euler"

    @property
    def jump(self) -> int:
        """Grid intervals left to the previous student."""
        return self.horizon - self.tail

    def forwards(self) -> dict[str, int]:
        """Network evaluations of one target by role; a guided evaluation is two."""
        jumps = -(-self.jump // self.previous_horizon) if self.jump else 0
        return {"previous": jumps, "teacher": 2 * -(-self.tail // self.stride)}


@torch.no_grad()
def make_target(
    latents: Tensor, index: Tensor, grid: Grid, route: Route, *, teacher: Velocity, previous: Velocity | None = None
) -> Target:
    """Target of a step over k = `route.horizon` grid intervals from state x_i (arXiv 2602.01814; docs/method.md):

        jump    x[i + k - tail] = x_i walked by the previous student, unguided, in steps of its own horizon
        tail    x[i + k]        = that, walked by the guided teacher, `route.stride` intervals an evaluation
        target  v* = (x[i + k] - x_i) / (sigma[i + k] - sigma[i])

    Args:
        latents: x_i, [B, C, F, H, W].
        index: i of each sample, [B] int64, at most N - k.
        teacher, previous: velocity fields with their text settled.

    Raises:
        ValueError: the route jumps, and there is no previous student.
    """
    sigmas = grid.sigmas.to(latents.device)
    end, turn, before = latents, index + route.jump, None
    if route.jump:
        if previous is None:
            raise ValueError(
                f"tail {route.tail} leaves {route.jump} intervals to a previous student, and there is none"
            )
        end = walk(previous, end, index, route.jump, route.previous_horizon, grid)
        jump = mean_velocity(latents, end, sigmas[index], sigmas[turn])
        before = Before((sigmas[index] + sigmas[turn]) / 2, jump)
    if route.solver == "adams":
        end = walk_adams(teacher, end, turn, route.tail, route.stride, grid, before)
    else:
        end = walk(teacher, end, turn, route.tail, route.stride, grid)
    return Target(end, mean_velocity(latents, end, sigmas[index], sigmas[index + route.horizon]))
