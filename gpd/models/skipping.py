"""A network with one of its blocks left out (skip-layer guidance: Hyung et al. 2024, arXiv 2411.18664)."""

from typing import Any

from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.models.roles import Role


class Passing(nn.Module):
    """In place of a block: the features as they came."""

    def forward(self, features: Tensor, *others: Any) -> Tensor:
        """The first argument."""
        return features


class Skipping(nn.Module):
    """The network without block `number`, on the same weights; the block is back after each call.

    Args:
        network: with transformer blocks in a list called `blocks`, or a role of one.
        number: counted from 0.

    Raises:
        UserError: there is no such block.
    """

    def __init__(self, network: nn.Module, number: int) -> None:
        super().__init__()
        shared = network.roles.network if isinstance(network, Role) else network
        self.network, self.number, self.blocks = network, number, _blocks_of(shared)
        if number >= len(self.blocks):
            key, last = f"distill.guidance.skip_block={number}", len(self.blocks) - 1
            raise UserError(f"params.yaml: {key}: the teacher's blocks are 0 .. {last}")

    def forward(self, *args: Tensor) -> Tensor:
        """As of the network."""
        block = self.blocks[self.number]
        self.blocks[self.number] = Passing()
        try:
            velocity: Tensor = self.network(*args)
        finally:
            self.blocks[self.number] = block
        return velocity


def _blocks_of(network: nn.Module) -> nn.ModuleList:
    for name, module in network.named_modules():
        if name.rpartition(".")[2] == "blocks" and isinstance(module, nn.ModuleList):
            return module
    return nn.ModuleList()
