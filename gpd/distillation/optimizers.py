"""What moves the student's weights."""

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.99)


def make_optimizer(network: nn.Module, *, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) for all trainable weights.

    Muon for the matrices of the blocks was tried and left out: at equal time it gains nothing beyond the spread over
    seeds, and its Newton-Schulz products cost a quarter of the student's forward and backward (docs/ablation.md).
    On a GPU the fused step: torch's default would make a copy as large as the weights in every step.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    is_on_gpu = all(weight.is_cuda for weight in trained)
    return torch.optim.AdamW(trained, lr=learning_rate, betas=BETAS, weight_decay=weight_decay, fused=is_on_gpu or None)


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser has gathered of each weight, as "POSITION.FIELD": positions count over all groups."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    return {
        f"{position}.{field}": value
        for position, weight in enumerate(weights)
        for field, value in optimizer.state[weight].items()
    }


def make_room(optimizer: torch.optim.Optimizer) -> None:
    """Allocates the moments, which an optimiser does at its first step, by a step that moves nothing."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for weight in group["params"]:
            weight.grad = torch.zeros_like(weight)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
