from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpd.core.randomness import seeded_noise
from gpd.core.sampler import Solver, sample
from gpd.core.schedule import make_grid
from gpd.core.velocity import stack_text
from gpd.models import wan
from tests.models.wan.states import CAPTION, SHAPE, distance


def test_the_scheduler_that_wan_ships_with_would_walk_another_grid() -> None:
    """Why a student is exported with a scheduler of its own (the parity above fails with this one)."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    obvious = FlowMatchEulerDiscreteScheduler(shift=5.0)
    obvious.set_timesteps(6)
    assert not torch.allclose(obvious.sigmas.double(), make_grid(6, 5.0).sigmas, atol=0.01)


@pytest.mark.parametrize("solver", [wan.unipc_solver, wan.dpm_solver])
def test_a_solver_of_order_two_differs_from_euler_and_keeps_its_own_history(
    small_wan: Path, solver: Callable[[int, float], Solver]
) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    text = stack_text(wan.TextEncoder(small_wan).encode([CAPTION]))
    noise, grid = seeded_noise(SHAPE, seed=0, index=0), make_grid(6, 3.0)
    first = sample(network, noise, text, grid, solver=solver(6, 3.0))[-1]
    second = sample(network, noise, text, grid, solver=solver(6, 3.0))[-1]
    assert torch.equal(first, second)
    assert distance(first, sample(network, noise, text, grid)[-1]) > 1e-4


@pytest.mark.parametrize("num_steps", [6, 12])
def test_dpm_of_order_one_is_euler_on_our_grid(num_steps: int) -> None:
    grid, noise, target = make_grid(num_steps, 3.0), torch.randn(2, 4, 1, 2, 2), torch.randn(2, 4, 1, 2, 2)
    text = torch.ones(2, 1, 3)

    def network(latents: torch.Tensor, timesteps: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * latents) + target * timesteps[:, None, None, None, None] / 1000

    euler_path = sample(network, noise, text, grid)
    dpm_path = sample(network, noise, text, grid, solver=wan.dpm_solver(num_steps, 3.0, order=1))
    for ours, theirs in zip(euler_path, dpm_path, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("solver", [wan.unipc_solver, wan.dpm_solver])
def test_order_two_is_nearer_than_euler_to_the_exact_flow(solver: Callable[[int, float], Solver]) -> None:
    """Clean latents from a normal of deviation s: the state at sigma has variance (1 - sigma)^2 s^2 + sigma^2.

    What is left is mostly the last step, to sigma 0, which is of first order in all of them.
    """
    deviation, noise, text = 0.5, torch.randn(1, 4, 2, 4, 4), torch.ones(1, 1, 3)

    def network(latents: torch.Tensor, timesteps: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        sigma = timesteps[:, None, None, None, None] / 1000
        return latents * (sigma - (1 - sigma) * deviation**2) / ((1 - sigma) ** 2 * deviation**2 + sigma**2)

    grid, exact = make_grid(12, 3.0), deviation * noise
    of_euler = distance(sample(network, noise, text, grid)[-1], exact)
    assert distance(sample(network, noise, text, grid, solver=solver(12, 3.0))[-1], exact) < 0.7 * of_euler
