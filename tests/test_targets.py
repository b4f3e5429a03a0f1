import pytest
import torch

from gpd.sampler import sample, text_velocity
from gpd.schedule import make_grid
from gpd.targets import forwards_per_target, make_target
from gpd.velocity import guided, mean_velocity, unguided
from tests.toy import GaussianField, text_of

GRID = make_grid(48, 3.0)
TEXT = text_of(1.0, -2.0)
SCALE = torch.tensor([3.0, 3.0])


def noise() -> torch.Tensor:
    return torch.randn(2, 2, 2, 4, 4, generator=torch.Generator().manual_seed(0)).double()


def teacher_field() -> tuple[GaussianField, object]:
    field = GaussianField()
    return field, guided(field, TEXT, text_of(0.0), SCALE)


def true_trajectory() -> list[torch.Tensor]:
    return sample(GaussianField(), noise(), TEXT, GRID, negative=text_of(0.0), guidance_scale=3.0)


def test_horizon_one_is_the_guided_teachers_velocity() -> None:
    _, teacher = teacher_field()
    index = torch.tensor([0, 10])
    latents = torch.stack([true_trajectory()[0][0], true_trajectory()[10][1]])
    target = make_target(latents, index, GRID, horizon=1, tail=1, teacher=teacher, previous=None, previous_horizon=0)
    field = text_velocity(GaussianField(), TEXT, text_of(0.0), 3.0)
    assert torch.allclose(target.velocity, field(latents, GRID.timesteps[index]))


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_a_tail_as_long_as_the_horizon_is_the_true_roll_out(horizon: int) -> None:
    _, teacher = teacher_field()
    trajectory = true_trajectory()
    index = torch.tensor([16, 24])
    latents = torch.stack([trajectory[16][0], trajectory[24][1]])
    target = make_target(
        latents, index, GRID, horizon=horizon, tail=horizon, teacher=teacher, previous=None, previous_horizon=0
    )
    expected = torch.stack([trajectory[16 + horizon][0], trajectory[24 + horizon][1]])
    assert torch.allclose(target.end, expected)


@pytest.mark.parametrize(
    ("horizon", "tail", "previous_horizon"), [(2, 1, 1), (8, 1, 7), (8, 4, 4), (8, 1, 4), (6, 0, 3)]
)
def test_a_perfect_previous_student_gives_the_true_roll_out(horizon: int, tail: int, previous_horizon: int) -> None:
    """A previous student that has learnt the mean velocity of its own horizon exactly hands on no error."""
    trajectory = true_trajectory()

    def previous(latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        index = torch.tensor([GRID.timesteps.tolist().index(int(t)) for t in timesteps])
        reached = min(previous_horizon, start + horizon - tail - int(index[0]))
        ends = torch.stack([trajectory[int(i) + reached][row] for row, i in enumerate(index)])
        return mean_velocity(latents, ends, GRID.sigmas[index], GRID.sigmas[index + reached])

    start = 16
    _, teacher = teacher_field()
    index = torch.tensor([start, start])
    target = make_target(
        trajectory[start],
        index,
        GRID,
        horizon=horizon,
        tail=tail,
        teacher=teacher,
        previous=previous,
        previous_horizon=previous_horizon,
    )
    assert torch.allclose(target.end, trajectory[start + horizon], atol=1e-6)
    stepped = trajectory[start] + (GRID.sigmas[start + horizon] - GRID.sigmas[start]) * target.velocity
    assert torch.allclose(stepped, target.end)


@pytest.mark.parametrize(
    ("horizon", "tail", "previous_horizon", "forwards"),
    [(1, 1, 0, (0, 2)), (2, 1, 1, (1, 2)), (8, 1, 7, (1, 2)), (8, 1, 4, (2, 2)), (8, 8, 0, (0, 16)), (8, 0, 4, (2, 0))],
)
def test_a_target_costs_what_is_stated(
    horizon: int, tail: int, previous_horizon: int, forwards: tuple[int, int]
) -> None:
    teacher_network, previous_network = GaussianField(), GaussianField()
    make_target(
        noise(),
        torch.tensor([0, 8]),
        GRID,
        horizon=horizon,
        tail=tail,
        teacher=guided(teacher_network, TEXT, text_of(0.0), SCALE),
        previous=unguided(previous_network, TEXT),
        previous_horizon=previous_horizon,
    )
    assert (previous_network.num_forwards, teacher_network.num_forwards) == (2 * forwards[0], 2 * forwards[1])
    assert forwards_per_target(horizon, tail, previous_horizon) == {"previous": forwards[0], "teacher": forwards[1]}


def test_a_jump_without_a_previous_student_is_refused() -> None:
    _, teacher = teacher_field()
    with pytest.raises(ValueError, match="there is none"):
        make_target(
            noise(), torch.tensor([0, 0]), GRID, horizon=2, tail=1, teacher=teacher, previous=None, previous_horizon=0
        )
