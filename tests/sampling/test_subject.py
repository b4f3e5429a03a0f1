import pytest
import torch

from gpd.core.sampler import euler
from gpd.core.schedule import make_grid
from gpd.sampling.subject import Subject, student_grid


@pytest.mark.parametrize("horizon", [1, 2, 3, 4, 6, 8, 12, 16, 24, 48])
def test_a_horizon_that_divides_gives_the_grid_of_fewer_steps(horizon: int) -> None:
    grid, expected = student_grid(48, horizon, 5.0), make_grid(48 // horizon, 5.0)
    assert torch.allclose(grid.sigmas, expected.sigmas, atol=1e-7, rtol=0)
    assert torch.equal(grid.timesteps, expected.timesteps)


def test_a_horizon_that_does_not_divide_ends_with_a_shorter_step() -> None:
    base, grid = make_grid(48, 3.0), student_grid(48, 7, 3.0)
    assert grid.num_steps == 7
    assert torch.equal(grid.sigmas, base.sigmas[[0, 7, 14, 21, 28, 35, 42, 48]])


@pytest.mark.parametrize(("guidance_scale", "forwards"), [(1.0, 6), (3.0, 12)])
def test_guidance_costs_twice(guidance_scale: float, forwards: int) -> None:
    """The network counts the samples that it really sees."""
    seen = 0

    def network(latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(latents)
        return torch.zeros_like(latents)

    subject = Subject(
        "x", network, make_grid(6, 3.0), 3.0, lambda num_steps, shift: euler, guidance_scale, torch.ones(2, 4), "cpu"
    )
    noise = [torch.randn(2, 1, 2, 2) for _ in range(3)]
    trajectory = subject.walk(noise, [torch.ones(1, 4), torch.ones(5, 4), torch.ones(2, 4)])
    assert subject.forwards == forwards == seen // 3
    assert len(trajectory) == 7
    assert torch.equal(trajectory[-1], torch.stack(noise))
