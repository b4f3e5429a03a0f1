"""Low-rank training (LoRA: Hu et al. 2021, arXiv 2106.09685): a matrix stays as it is, two thin factors learn."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gpd.artifacts import UserError

LORA_SEED = 4  # stream of randomness under the stage's seed, beside those of training


def hidden_matrices(network: nn.Module) -> list[Tensor]:
    """The weights [m, n] of the transformer's blocks: what Muon is made for. Not the layers before and after them.

    Nor low-rank factors: orthogonal steps of two factors are not one of their product, and AdamW is what they were
    published with.
    """
    return [
        weight
        for name, weight in network.named_parameters()
        if weight.ndim == 2 and ".blocks." in f".{name}" and ".parametrizations." not in name
    ]


class LowRank(nn.Module):
    """W [m, n] -> W + B A, with A [r, n] and B [m, r]; B begins as zero, so that W + B A begins as W.

    There is no factor alpha / r: under Adam it does what the learning rate does (Hu et al., section 4.1). The sum is a
    tensor of its own for each matrix until its backward is done.
    """

    def __init__(self, weight: Tensor, rank: int, rng: np.random.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        down = torch.from_numpy(rng.standard_normal((rank, columns), dtype=np.float32))
        self.down = nn.Parameter((down / columns**0.5).to(weight))  # A; keeps the features' size
        self.up = nn.Parameter(weight.new_zeros(rows, rank))  # B

    def forward(self, weight: Tensor) -> Tensor:
        """The matrix that the layer works with."""
        return weight + self.up @ self.down


def make_trainable(network: nn.Module, rank: int, seed: int) -> None:
    """All weights where `rank` is 0; else new factors of the blocks' matrices and nothing else.

    Equal (rank, seed) give equal factors. A copy of a network gets its own by another call: `copy.deepcopy` of a
    parametrized module shares its class, and `merge` of the one would break the other.

    Raises:
        UserError: a matrix has no such rank.
    """
    network.requires_grad_(rank == 0)
    if rank == 0:
        return
    chosen = {id(weight) for weight in hidden_matrices(network)}
    named = [(name, weight) for name, weight in network.named_parameters() if id(weight) in chosen]
    for number, (name, weight) in enumerate(named):
        _check_rank(name, weight, rank)
        module, _, own = name.rpartition(".")
        factors = LowRank(weight, rank, np.random.default_rng([seed, LORA_SEED, number]))
        parametrize.register_parametrization(network.get_submodule(module), own, factors)


def _check_rank(name: str, weight: Tensor, rank: int) -> None:
    if rank > min(weight.shape):
        raise UserError(
            f"params.yaml: distill.lora_rank={rank} is more than {name} can have: it is {list(weight.shape)}, "
            f"of rank {min(weight.shape)} at most"
        )


def merge(network: nn.Module) -> None:
    """Leaves plain weights W + B A and no trace of the factors; nothing to do where there are none."""
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name)
