import pytest
import torch

from gpd.core.sampler import Before, sample, walk, walk_adams
from gpd.core.schedule import make_grid
from gpd.core.velocity import unguided
from tests.toy import GaussianField, text_of

SHAPE = (4, 2, 2, 4, 4)


def noise() -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)).double()


def test_many_steps_reach_the_clean_distribution() -> None:
    # The flow of N(0, 1) to N(mean, spread^2) is x -> mean + spread * x, whatever the path.
    end = sample(GaussianField(0.5), noise(), text_of(2.0, 2.0, -1.0, 0.0), make_grid(1000, 1.0))[-1]
    means = torch.tensor([2.0, 2.0, -1.0, 0.0]).view(-1, 1, 1, 1, 1)
    assert torch.allclose(end, means + 0.5 * noise(), atol=0.02)


def test_a_point_mass_needs_one_step() -> None:
    end = sample(GaussianField(0.0), noise(), text_of(1.0, 2.0, 3.0, 4.0), make_grid(1, 1.0))[-1]
    assert torch.allclose(end.mean(dim=(1, 2, 3, 4)), torch.tensor([1.0, 2.0, 3.0, 4.0]).double(), atol=0.02)


def test_trajectory_has_every_grid_point_and_costs_the_stated_forwards() -> None:
    field = GaussianField()
    done: list[int] = []
    trajectory = sample(field, noise(), text_of(1.0, 1.0, 1.0, 1.0), make_grid(6, 3.0), on_step=done.append)
    assert len(trajectory) == 7
    assert done == [1, 2, 3, 4, 5, 6]
    assert field.num_forwards == 6 * 4
    assert torch.equal(trajectory[0], noise())
    sample(field, noise(), text_of(1.0, 1.0, 1.0, 1.0), make_grid(6, 3.0), negative=text_of(0.0), guidance_scale=3.0)
    assert field.num_forwards == 6 * 4 + 2 * 6 * 4


def test_guidance_without_a_negative_text_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a negative"):
        sample(GaussianField(), noise(), text_of(1, 1, 1, 1), make_grid(6, 3.0), guidance_scale=2.0)


def test_walk_from_different_starts_equals_the_sampled_trajectory() -> None:
    field, grid, text = GaussianField(), make_grid(48, 3.0), text_of(1.0, 2.0, 3.0, 4.0)
    trajectory = sample(field, noise(), text, grid)
    starts = torch.tensor([0, 5, 20, 40])
    latents = torch.stack([trajectory[i][row] for row, i in enumerate(starts.tolist())])
    walked = walk(unguided(field, text), latents, starts, 8, 1, grid)
    expected = torch.stack([trajectory[i + 8][row] for row, i in enumerate(starts.tolist())])
    assert torch.allclose(walked, expected)


def test_the_last_stride_of_a_walk_is_cut_short() -> None:
    field, grid, text = GaussianField(), make_grid(48, 3.0), text_of(1.0, 2.0, 3.0, 4.0)
    start = torch.zeros(4, dtype=torch.int64)
    velocity = unguided(field, text)
    walked = walk(velocity, noise(), start, 7, 4, grid)
    by_hand = walk(velocity, walk(velocity, noise(), start, 4, 4, grid), start + 4, 3, 3, grid)
    assert torch.equal(walked, by_hand)


def test_adams_is_of_second_order() -> None:
    """Half the step, a quarter of the error; Euler's halves."""
    field = unguided(GaussianField(), text_of(1.0, 1.0, 1.0, 1.0))
    grid, start = make_grid(960, 1.0), torch.full((4,), 240)
    truth = walk(field, noise(), start, 480, 1, grid)

    def error(walking: object, stride: int) -> float:
        return (walking(field, noise(), start, 480, stride, grid) - truth).norm().item()  # type: ignore[operator]

    assert error(walk, 60) / error(walk, 120) == pytest.approx(0.5, abs=0.1)
    assert error(walk_adams, 60) / error(walk_adams, 120) == pytest.approx(0.25, abs=0.1)
    assert error(walk_adams, 60) < 0.2 * error(walk, 60)


def test_the_first_step_of_adams_is_eulers_and_what_is_before_it_changes_it() -> None:
    field = unguided(GaussianField(), text_of(1.0, 1.0, 1.0, 1.0))
    grid, start = make_grid(48, 3.0), torch.tensor([0, 8, 16, 24])
    plain = walk(field, noise(), start, 4, 4, grid)
    assert torch.equal(walk_adams(field, noise(), start, 4, 4, grid), plain)
    before = Before(grid.sigmas[start] + 0.1, torch.zeros_like(noise()))
    assert not torch.allclose(walk_adams(field, noise(), start, 4, 4, grid, before), plain)
