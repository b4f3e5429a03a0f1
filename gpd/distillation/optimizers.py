"""Which optimiser moves which weights."""

from typing import Literal

import torch
from torch import nn

from gpd.models.adapters import hidden_matrices

OptimizerName = Literal["adamw", "muon"]
BETAS = (0.9, 0.99)


def make_optimizers(
    network: nn.Module, name: OptimizerName, *, learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """AdamW for all trainable weights, or Muon for the hidden matrices and AdamW for the rest.

    Muon (Jordan et al. 2024, github.com/KellerJordan/Muon) takes the nearest orthogonal matrix of the momentum, scaled
    here to the size of AdamW's steps (Liu et al. 2025, arXiv 2502.16982), so that one learning rate fits both.
    """
    matrices = hidden_matrices(network) if name == "muon" else []
    chosen = {id(weight) for weight in matrices}
    rest = [weight for weight in network.parameters() if weight.requires_grad and id(weight) not in chosen]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=learning_rate, betas=BETAS, weight_decay=weight_decay)
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        )
    return optimizers
