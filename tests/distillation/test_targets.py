import pytest
import torch

from gpd.core.sampler import sample, text_velocity
from gpd.core.schedule import make_grid
from gpd.core.velocity import guided, mean_velocity, unguided
from gpd.distillation.targets import Route, make_target
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
    target = make_target(latents, index, GRID, Route(1, 1), teacher=teacher)
    field = text_velocity(GaussianField(), TEXT, text_of(0.0), 3.0)
    assert torch.allclose(target.velocity, field(latents, GRID.timesteps[index]))


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_a_tail_as_long_as_the_horizon_is_the_true_roll_out(horizon: int) -> None:
    _, teacher = teacher_field()
    trajectory = true_trajectory()
    index = torch.tensor([16, 24])
    latents = torch.stack([trajectory[16][0], trajectory[24][1]])
    target = make_target(latents, index, GRID, Route(horizon, horizon), teacher=teacher)
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
        Route(horizon, tail, previous_horizon),
        teacher=teacher,
        previous=previous,
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
        Route(horizon, tail, previous_horizon),
        teacher=guided(teacher_network, TEXT, text_of(0.0), SCALE),
        previous=unguided(previous_network, TEXT),
    )
    assert (previous_network.num_forwards, teacher_network.num_forwards) == (2 * forwards[0], 2 * forwards[1])
    assert Route(horizon, tail, previous_horizon).forwards() == {"previous": forwards[0], "teacher": forwards[1]}


def test_a_jump_without_a_previous_student_is_refused() -> None:
    _, teacher = teacher_field()
    with pytest.raises(ValueError, match="there is none"):
        make_target(noise(), torch.tensor([0, 0]), GRID, Route(2, 1), teacher=teacher)


@pytest.mark.parametrize(
    ("horizon", "tail", "stride", "forwards"), [(8, 8, 4, 4), (8, 8, 3, 6), (8, 4, 4, 2), (1, 1, 4, 2)]
)
@pytest.mark.parametrize("solver", ["euler", "adams"])
def test_a_coarser_tail_costs_what_is_stated(horizon: int, tail: int, stride: int, forwards: int, solver: str) -> None:
    teacher, route = GaussianField(), Route(horizon, tail, max(1, horizon - tail), stride, solver)
    make_target(
        noise(),
        torch.tensor([0, 8]),
        GRID,
        route,
        teacher=guided(teacher, TEXT, text_of(0.0), SCALE),
        previous=unguided(GaussianField(), TEXT),
    )
    assert teacher.num_forwards == 2 * forwards
    assert route.forwards()["teacher"] == forwards


def test_adams_brings_a_coarse_tail_nearer_to_the_true_roll_out() -> None:
    trajectory = true_trajectory()
    index = torch.tensor([16, 24])
    latents = torch.stack([trajectory[16][0], trajectory[24][1]])
    expected = torch.stack([trajectory[24][0], trajectory[32][1]])

    def error(solver: str) -> float:
        _, teacher = teacher_field()
        target = make_target(latents, index, GRID, Route(8, 8, stride=4, solver=solver), teacher=teacher)
        return (target.end - expected).norm().item()

    assert error("adams") < 0.5 * error("euler")


def test_adams_takes_the_jump_for_the_velocity_at_its_middle() -> None:
    """Where the velocity is linear in sigma, jump and one evaluation give the exact end; Euler's step does not."""
    index, turn, last = torch.tensor([8]), 12, 16
    latents = torch.zeros(1, 1, 1, 2, 2, dtype=torch.float64)

    def linear(latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        sigma = GRID.sigmas[GRID.timesteps.tolist().index(int(timesteps[0]))]
        return torch.full_like(latents, 1.0 + 2.0 * float(sigma))

    def exact(first: int, last: int) -> float:
        a, b = GRID.sigmas[first].item(), GRID.sigmas[last].item()
        return (b - a) + (b**2 - a**2)

    def previous(latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        return torch.full_like(latents, exact(8, turn) / (GRID.sigmas[turn] - GRID.sigmas[8]).item())

    def end(solver: str) -> float:
        route = Route(8, 4, previous_horizon=4, stride=4, solver=solver)
        return make_target(latents, index, GRID, route, teacher=linear, previous=previous).end.mean().item()

    assert end("adams") == pytest.approx(exact(8, last), abs=1e-12)
    assert abs(end("euler") - exact(8, last)) > 1e-3


@pytest.mark.parametrize("solver", ["euler", "adams"])
@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_a_step_no_longer_than_the_stride_is_one_euler_step_of_the_teacher(horizon: int, solver: str) -> None:
    """From x = 2 at a sigma where the text's clean mean is 1 and the negative's 0, by hand from the toy's formula."""
    index, latents = torch.tensor([8]), torch.full((1, 1, 1, 1, 1), 2.0, dtype=torch.float64)
    sigma = GRID.timesteps[8].item() / 1000  # what the network is told
    gain = (1 - sigma) * 0.25 / ((1 - sigma) ** 2 * 0.25 + sigma**2)
    of_text, of_negative = ((2 - (m + gain * (2 - (1 - sigma) * m))) / sigma for m in (1.0, 0.0))
    velocity = of_negative + 3 * (of_text - of_negative)
    target = make_target(
        latents,
        index,
        GRID,
        Route(horizon, horizon, stride=4, solver=solver),
        teacher=guided(GaussianField(), text_of(1.0), text_of(0.0), torch.tensor([3.0])),
    )
    assert target.velocity.item() == pytest.approx(velocity, abs=1e-6)
    length = (GRID.sigmas[8 + horizon] - GRID.sigmas[8]).item()
    assert target.end.item() == pytest.approx(2 + length * velocity, abs=1e-6)
