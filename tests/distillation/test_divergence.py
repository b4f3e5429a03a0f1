"""What went wrong in a training is said in one line, and nothing of it is published."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from gpd.artifacts import UserError
from gpd.distillation.divergence import DivergedError, check_iteration, check_outcome
from gpd.distillation.ledger import Ledger
from gpd.distillation.saving.train_state import MARKER
from gpd.distillation.trainer import train_stage
from gpd.documents import Probed
from tests.distillation.test_trainer import make_stage
from tests.toy import SmallNetwork


class CornerNetwork(SmallNetwork):
    """Its value is finite, its slope is not: it adds the root of a weight that is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.corner = torch.nn.Parameter(torch.zeros(1))

    def forward(self, *inputs: Any) -> Tensor:
        return super().forward(*inputs) + self.corner.sqrt()


def test_an_exploded_training_fails_in_one_line_and_keeps_its_train_state(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 1, 1, 12)
    params = stage.params.model_copy(update={"learning_rate": 1e3})
    wild = dataclasses.replace(stage, params=params, distill=stage.distill.model_copy(update={"save_every_seconds": 0}))
    expected = r"^distill k1: diverged, .* the loss peaked at \S+ in iteration \d+ \(learning rate \S+\)"
    with pytest.raises(UserError, match=expected) as caught:
        train_stage(wild, Accelerator(cpu=True))
    assert "\n" not in str(caught.value)
    assert (tmp_path / MARKER).exists()
    with pytest.raises(DivergedError, match=expected) as again:  # nor is it published when it is resumed
        train_stage(wild, Accelerator(cpu=True))
    assert str(again.value) == str(caught.value)


def test_a_gradient_that_is_not_finite_stops_the_stage(tmp_path: Path) -> None:
    stage = dataclasses.replace(make_stage(tmp_path, 1, 1, 4), student=CornerNetwork())
    with pytest.raises(DivergedError, match=r"^distill k1: the gradient's norm is (inf|nan) at iteration 0 "):
        train_stage(stage, Accelerator(cpu=True))


@pytest.mark.parametrize(("loss", "norm"), [(float("nan"), 1.0), (1.0, float("inf"))])
def test_one_number_that_is_not_finite_is_enough(tmp_path: Path, loss: float, norm: float) -> None:
    stage = make_stage(tmp_path)
    check_iteration(stage, 0, 1e30, 1e30)
    with pytest.raises(DivergedError):
        check_iteration(stage, 0, loss, norm)


@pytest.mark.parametrize(
    ("before", "after", "is_refused"),
    [
        ((0.01, 0.2), (0.005, 0.1), False),
        ((1e-6, 0.01), (1e-3, 0.3), False),  # a thousandfold, of nearly nothing
        ((2.0, 1.4), (1.5, 1.2), False),  # worse than zeros, but from random weights and on its way
        ((0.1, 1.5), (1.0, 3.0), False),
        ((0.1, 0.5), (1.01, 1.01), True),
        ((0.007, 0.1), (4.9e8, 1e4), True),
    ],
)
def test_a_student_is_refused_if_it_is_far_worse_and_worse_than_none(
    tmp_path: Path, before: tuple[float, float], after: tuple[float, float], is_refused: bool
) -> None:
    def probed(figures: tuple[float, float]) -> Probed:
        return Probed(residual=figures[0], rollout_distance=figures[1])

    ledger = Ledger(losses=[1.0, 7.0, 2.0], before=probed(before), after=probed(after))
    if not is_refused:
        check_outcome(make_stage(tmp_path), ledger)
        return
    with pytest.raises(DivergedError, match=r"peaked at 7 in iteration 1 "):
        check_outcome(make_stage(tmp_path), ledger)
