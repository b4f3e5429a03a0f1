import pytest
import torch

from gpd.distillation.schedules import guidance_scale, has_stalled, learning_rate, set_learning_rate
from gpd.params import Guidance
from tests.distillation.test_trainer import settings


@pytest.mark.parametrize(
    ("losses", "window", "expected"),
    [
        ([4.0, 2.0, 3.0, 3.0], 2, True),  # 3 after 3
        ([4.0, 2.0, 3.0, 2.9], 2, False),  # 2.95 after 3
        ([1.0, 1.0, 4.0, 2.0, 3.0, 2.0], 2, False),  # 2.5 after 3: only the last two windows count
        ([4.0, 2.0, 1.0, 1.0, 9.0], 2, False),  # a window is not yet over
        ([1.0, 2.0, 3.0], 3, False),  # there is no window before
        ([1.0, 2.0], 1, True),
        ([1.0, 2.0, 3.0, 4.0], 0, False),  # never
    ],
)
def test_a_stall_is_a_window_that_is_not_below_the_one_before(losses: list[float], window: int, expected: bool) -> None:
    assert has_stalled(losses, window) == expected


def test_guidance_along_each_axis_by_hand() -> None:
    sigma = torch.tensor([1.0, 0.5, 0.0])
    scales = {
        axis: guidance_scale(Guidance(start=6.0, end=1.5, axis=axis), sigma, 0.25, 0.75).tolist()
        for axis in ("stage", "iteration", "sigma")
    }
    assert scales["stage"] == pytest.approx([4.875] * 3)
    assert scales["iteration"] == pytest.approx([2.625] * 3)
    assert scales["sigma"] == pytest.approx([6.0, 3.75, 1.5])


def test_the_learning_rate_rises_and_falls() -> None:
    distill = settings(warmup_iterations=10, final_rate_share=0.1)
    params = distill.stages["k1"].model_copy(update={"iterations": 100, "learning_rate": 1.0})
    rates = [learning_rate(iteration, params, distill) for iteration in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9]
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("iteration", "iterations", "warmup", "expected"),
    [
        (0, 100, 0, 1.0),  # no warm-up
        (0, 100, 10, 0.1),
        (4, 100, 10, 0.5 * (1 - 0.9 * 0.04)),
        (50, 100, 10, 0.55),
        (99, 100, 10, 1 - 0.9 * 0.99),
        (1, 4, 10, 0.5 * (1 - 0.9 / 4)),  # a stage shorter than its warm-up rises over all of it
    ],
)
def test_the_learning_rate_by_hand(iteration: int, iterations: int, warmup: int, expected: float) -> None:
    distill = settings(warmup_iterations=warmup, final_rate_share=0.1)
    params = distill.stages["k1"].model_copy(update={"iterations": iterations, "learning_rate": 2.0})
    assert learning_rate(iteration, params, distill) == pytest.approx(2 * expected)


def test_a_rate_is_that_of_all_weights() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))]} for _ in range(2)]
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
