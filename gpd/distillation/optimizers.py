"""What moves the student's weights."""

import torch
from torch import nn

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
