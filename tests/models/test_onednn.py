"""Products by oneDNN are those of PyTorch's linear layers, and so are their derivatives."""

import copy

import pytest
import torch
from torch import Tensor, nn

from gpd.models.onednn import Linear, LinearFunction, is_available, use_onednn

pytestmark = pytest.mark.skipif(not is_available(), reason="this processor has no AVX-512 or PyTorch no oneDNN")


def outcome(network: nn.Module, features: Tensor) -> list[Tensor]:
    """Value, and the derivatives of features and weights for an arbitrary cotangent."""
    features = features.clone().requires_grad_(True)
    value = network(features)
    cotangent = torch.arange(value.numel()).view_as(value).sin()
    gradients = torch.autograd.grad((value * cotangent).sum(), [features, *network.parameters()])
    return [value.detach(), *gradients]


@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 7), (1, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_derivatives_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(7, 11, bias=bias), nn.Tanh(), nn.Linear(11, 3, bias=bias))
    ours = copy.deepcopy(plain)
    use_onednn(ours)
    assert isinstance(ours[0], Linear)
    features = torch.randn(shape)
    for expected, found in zip(outcome(plain, features), outcome(ours, features), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_derivatives_are_those_of_finite_differences_too() -> None:
    torch.manual_seed(1)
    features, weight, bias = torch.randn(4, 6), torch.randn(5, 6), torch.randn(5)
    weight.requires_grad_(True)
    LinearFunction.apply(features, weight, bias).square().sum().backward()
    step = torch.zeros_like(weight)
    step[2, 3] = 0.1  # a quadratic: central differences are exact
    up, down = ((features @ (weight + sign * step).T + bias).square().sum() for sign in (1, -1))
    torch.testing.assert_close(weight.grad[2, 3], (up - down) / 0.2, rtol=1e-3, atol=1e-3)


def test_names_and_weights_stay() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    use_onednn(network)
    assert list(network.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_another_type_takes_the_usual_way() -> None:
    network = nn.Sequential(nn.Linear(3, 2)).double()
    features = torch.randn(4, 3, dtype=torch.float64)
    expected = network(features)
    use_onednn(network)
    assert torch.equal(network(features), expected)


def test_a_frozen_weight_gets_no_derivative() -> None:
    network = nn.Sequential(nn.Linear(3, 2)).requires_grad_(False)
    use_onednn(network)
    features = torch.randn(4, 3, requires_grad=True)
    network(features).sum().backward()
    assert network[0].weight.grad is None
    torch.testing.assert_close(features.grad, network[0].weight.sum(0).expand(4, -1))
