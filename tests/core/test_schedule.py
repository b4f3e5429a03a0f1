import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpd.core.schedule import make_grid, shift_sigma
from gpd.models import wan


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0, 8.0])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 6, 8, 12, 48])
def test_grid_is_the_exported_schedulers(num_steps: int, shift: float) -> None:
    scheduler = wan.student_scheduler(48, shift)
    scheduler.set_timesteps(num_steps)
    grid = make_grid(num_steps, shift)
    assert torch.equal(grid.sigmas.float(), scheduler.sigmas)
    assert torch.equal(grid.timesteps, scheduler.timesteps)


@pytest.mark.parametrize("horizon", [4, 6, 8, 12, 16, 24, 48])
@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
def test_the_grid_of_fewer_steps_is_every_kth_point_of_forty_eight(shift: float, horizon: int) -> None:
    coarse, fine = make_grid(48 // horizon, shift), make_grid(48, shift).every(horizon)
    assert torch.allclose(coarse.sigmas, fine.sigmas, atol=1e-7)
    assert torch.equal(coarse.timesteps, fine.timesteps)


def test_six_steps_at_shift_five_by_hand() -> None:
    expected = torch.tensor([1, 0.962, 0.909, 0.833, 0.714, 0.5, 0], dtype=torch.float64)
    assert torch.allclose(make_grid(6, 5.0).sigmas, expected, atol=2e-3)
    assert make_grid(6, 5.0).timesteps.tolist() == [999, 961, 909, 833, 714, 501]


@given(st.floats(0, 1), st.floats(0.1, 20), st.floats(0.1, 20))
def test_shifts_compose_by_multiplication(sigma: float, first: float, second: float) -> None:
    twice = shift_sigma(shift_sigma(np.array(sigma), first), second)
    assert np.isclose(twice, shift_sigma(np.array(sigma), first * second))


@given(st.floats(0.2, 20), st.integers(2, 100))
def test_grid_falls_from_one_to_zero(shift: float, num_steps: int) -> None:
    sigmas = make_grid(num_steps, shift).sigmas
    assert (sigmas.diff() < 0).all()
    assert sigmas[0] == pytest.approx(1, abs=2e-6)
    assert sigmas[-1] == 0


def test_stride_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="stride 5 does not divide 48"):
        make_grid(48, 3.0).every(5)
