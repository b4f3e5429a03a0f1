"""Linear layers of a network on the CPU by oneDNN instead of MKL, in float32 as before.

PyTorch sends float32 products to MKL, which keeps to AVX2 on processors that are not Intel's. oneDNN, which PyTorch
brings as well, takes AVX-512 wherever it is: 2.4 times as fast a product on an EPYC, the same to rounding. The
public switch to oneDNN (`torch.backends.mkldnn.matmul.fp32_precision = "bf16"`) was tried and left out: where
the processor has AMX it rounds to bfloat16, and it makes attention five times slower.

What remains is the operator that torch.compile puts in place of a linear layer on the CPU. Its leading underscore means
that PyTorch may change it in any release, so `is_available` looks for it and all goes by MKL if it is gone; and it
has no derivative, so `LinearFunction` writes out the three products of a backward itself.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def is_available() -> bool:
    """Whether this build of PyTorch has oneDNN and this processor AVX-512."""
    has_product = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has_product and torch.backends.cpu.get_cpu_capability() == "AVX512"


def product(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """features @ weight^T + bias: [.., K], [N, K], [N] -> [.., N], all float32 on the CPU."""
    # The last three arguments fuse what follows the layer (relu, gelu with its scalars, its algorithm): here nothing.
    result: Tensor = torch.ops.mkldnn._linear_pointwise(features, weight, bias, "none", [], "")
    return result


class LinearFunction(torch.autograd.Function):
    """y = x W^T + b with its derivatives dx = g W, dW = g^T x, db = sum g."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """[.., K] -> [.., N]."""
        ctx.save_for_backward(features, weight)
        return product(features, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """[.., N] -> those of features, weight and bias; only those needed."""
        features, weight = ctx.saved_tensors
        rows = gradients[0].flatten(0, -2)
        wants_features, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            product(gradients[0], weight.t()) if wants_features else None,
            product(rows.t(), features.flatten(0, -2).t()) if wants_weight else None,
            rows.sum(0) if wants_bias else None,
        )


class Linear(nn.Linear):
    """nn.Linear whose products are oneDNN's if they are float32 on the CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """[.., K] -> [.., N]."""
        if input.is_cpu and input.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
            result: Tensor = LinearFunction.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return result
        return F.linear(input, self.weight, self.bias)


def use_onednn(network: nn.Module) -> None:
    """Gives the network's linear layers this module's products; weights and names stay what they are."""
    if is_available():
        for module in network.modules():
            if type(module) is nn.Linear:
                module.__class__ = Linear
