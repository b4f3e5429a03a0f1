import pytest
import torch
from torch import nn

from gpd.distillation.average import make_average


def linear(value: float) -> nn.Linear:
    """A layer whose one weight is `value`."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_decay_rises_to_the_wanted_one_by_hand() -> None:
    student = linear(1.0)
    average = make_average(student, 0.2)
    assert average is not None
    expected = 1.0
    for value, decay in ((2.0, 1 / 10), (3.0, 2 / 11), (5.0, 0.2), (4.0, 0.2)):
        nn.init.constant_(student.weight, value)
        average.update_parameters(student)
        expected = decay * expected + (1 - decay) * value
        assert average.module.weight.item() == pytest.approx(expected)


def test_an_average_is_not_trained_and_goes_on_where_it_was_kept() -> None:
    student = linear(1.0)
    first, second = make_average(student, 0.9), make_average(linear(7.0), 0.9)
    assert first is not None
    assert second is not None
    assert not any(weight.requires_grad for weight in first.parameters())
    nn.init.constant_(student.weight, 2.0)
    first.update_parameters(student)
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.update_parameters(linear(3.0))
    assert torch.equal(first.module.weight, second.module.weight)


def test_without_a_decay_there_is_none() -> None:
    assert make_average(linear(1.0), 0.0) is None
