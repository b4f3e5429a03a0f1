"""Walking a grid from noise to clean."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gpd.core.schedule import Grid
from gpd.core.velocity import Network, Velocity, euler_step, guided, per_sample, unguided

# (latents, velocity, step, grid) -> latents at the next point. Multistep solvers keep their own history.
Solver = Callable[[Tensor, Tensor, int, Grid], Tensor]


def euler(latents: Tensor, velocity: Tensor, step: int, grid: Grid) -> Tensor:
    """The solver that students are trained for."""
    sigma, sigma_next = grid.sigmas[step].expand(len(latents)), grid.sigmas[step + 1].expand(len(latents))
    return euler_step(latents, velocity, sigma, sigma_next)


@torch.no_grad()
def sample(
    network: Network,
    noise: Tensor,
    text: Tensor,
    grid: Grid,
    *,
    negative: Tensor | None = None,
    guidance_scale: float = 1.0,
    solver: Solver = euler,
    on_step: Callable[[int], None] = lambda _: None,
) -> list[Tensor]:
    """Samples a batch.

    Args:
        noise: [B, C, F, H, W].
        text: [B, L, D].
        negative: [1, L', D]; needed when guidance_scale is not 1.
        guidance_scale: 1 is no guidance and costs one forward a step instead of two.
        solver: `euler`, or a fresh multistep solver for each batch.
        on_step: called with the number of steps done.

    Returns:
        The trajectory: latents at each of the grid's N + 1 points; the last is the sample.
    """
    velocity = text_velocity(network, text, negative, guidance_scale)
    trajectory = [noise]
    for step in range(grid.num_steps):
        timesteps = grid.timesteps[step].to(noise.device).expand(len(noise))
        latents = trajectory[-1]
        trajectory.append(solver(latents, velocity(latents, timesteps), step, grid))
        on_step(step + 1)
    return trajectory


def text_velocity(network: Network, text: Tensor, negative: Tensor | None, guidance_scale: float) -> Velocity:
    """The velocity field that is sampled: plain at scale 1, else guided."""
    if guidance_scale == 1.0:
        return unguided(network, text)
    if negative is None:
        raise ValueError(f"guidance_scale={guidance_scale} needs a negative text")
    scale = torch.full((len(text),), guidance_scale, dtype=text.dtype, device=text.device)
    return guided(network, text, negative, scale)


def walk(velocity: Velocity, latents: Tensor, start: Tensor, num_intervals: int, stride: int, grid: Grid) -> Tensor:
    """Euler steps of at most `stride` intervals each, `num_intervals` in all, each sample from its own point.

    Args:
        velocity: (latents, timesteps [B]) -> velocity.
        start: grid index of each sample, [B] int64.

    Returns:
        Latents at index start + num_intervals.
    """
    index, end = start, start + num_intervals
    sigmas, timesteps = grid.sigmas.to(latents.device), grid.timesteps.to(latents.device)
    for _ in range(-(-num_intervals // stride)):
        following = torch.minimum(index + stride, end)
        latents = euler_step(latents, velocity(latents, timesteps[index]), sigmas[index], sigmas[following])
        index = following
    return latents


class Before(NamedTuple):
    """A velocity met earlier on the way and its noise level: what a two-step method remembers."""

    sigma: Tensor  # [B]
    velocity: Tensor  # [B, C, F, H, W]


def walk_adams(
    velocity: Velocity,
    latents: Tensor,
    start: Tensor,
    num_intervals: int,
    stride: int,
    grid: Grid,
    before: Before | None = None,
) -> Tensor:
    """`walk` of second order for one evaluation a step: two-step Adams-Bashforth with steps of unequal length,

        x_b = x_a + h v_a + h^2 / 2 * (v_a - v_before) / (sigma_a - sigma_before),   h = sigma_b - sigma_a

    The first step is Euler's if there is nothing `before`.
    """
    index, end = start, start + num_intervals
    sigmas, timesteps = grid.sigmas.to(latents.device), grid.timesteps.to(latents.device)
    for _ in range(-(-num_intervals // stride)):
        following = torch.minimum(index + stride, end)
        current = Before(sigmas[index], velocity(latents, timesteps[index]))
        latents = adams_step(latents, current, sigmas[following], before)
        index, before = following, current
    return latents


def adams_step(latents: Tensor, current: Before, sigma_next: Tensor, before: Before | None) -> Tensor:
    """One step of `walk_adams` from where `current` was met to `sigma_next` [B]."""
    here, length = current.sigma, sigma_next - current.sigma
    moved = euler_step(latents, current.velocity, here, sigma_next)
    if before is None:
        return moved
    share = per_sample(length**2 / 2 / (here - before.sigma), latents)
    return moved + share * (current.velocity - before.velocity)
