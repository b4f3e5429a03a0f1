"""Low-rank factors of a student's change to its base model: read, extracted, made complete, added."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gpd.artifacts import UserError
from gpd.models.adapters import Factors
from gpd.models.exchange import Weights

PREFIX, DOWN, UP = "transformer.", ".lora_A.weight", ".lora_B.weight"  # of names as diffusers and PEFT have them


@dataclass(frozen=True)
class Change:
    """The change up @ down of one matrix [m, n]: down [r, n], up [m, r]. The scale alpha / r is inside `up`."""

    down: Tensor
    up: Tensor

    @property
    def rank(self) -> int:
        """r."""
        return int(self.down.shape[0])

    @property
    def product(self) -> Tensor:
        """[m, n], float32."""
        return self.up.float() @ self.down.float()

    def to(self, dtype: torch.dtype) -> "Change":
        """Rounded."""
        return Change(self.down.to(dtype), self.up.to(dtype))


Adapter = dict[str, Change]  # by layer, as diffusers names it


def block_matrices(weights: Weights) -> dict[str, torch.Size]:
    """Shapes [m, n] of the layers that an adapter changes: every matrix of the transformer's blocks."""
    found = {name: weight.shape for name, weight in weights.items() if name.startswith("blocks.") and weight.ndim == 2}
    return {name.removesuffix(".weight"): shape for name, shape in found.items()}


def add(base: Weights, adapter: Adapter) -> Weights:
    """The base model's weights with the changes, float32.

    Raises:
        UserError: the adapter changes a layer that the base model does not have.
    """
    check_layers(adapter, base)
    return base | {f"{layer}.weight": base[f"{layer}.weight"] + found.product for layer, found in adapter.items()}


def check_layers(adapter: Adapter, base: Weights) -> None:
    """Refuses an adapter of another model: readers drop what they do not know, in silence.

    Raises:
        UserError: naming the first layer that is not a matrix of the base model's blocks, or not of its shape.
    """
    shapes = block_matrices(base)
    for layer, found in adapter.items():
        shape = (found.up.shape[0], found.down.shape[1])
        if shapes.get(layer) != shape:
            there = list(shapes[layer]) if layer in shapes else "not there"
            raise UserError(
                f"adapter: {layer} changes a matrix {list(shape)}; in the base model's blocks it is {there}"
            )


def complete(adapter: Adapter, base: Weights) -> Adapter:
    """With zero factors for matrices that the adapter leaves alone: converters want all of a block."""
    check_layers(adapter, base)
    rank = rank_of(adapter)
    zeros = {
        layer: Change(torch.zeros(rank, columns), torch.zeros(rows, rank))
        for layer, (rows, columns) in block_matrices(base).items()
    }
    return zeros | adapter


def rank_of(adapter: Adapter) -> int:
    """The rank that all its factors have.

    Raises:
        UserError: there are none, or they differ.
    """
    ranks = {change.rank for change in adapter.values()}
    if len(ranks) != 1:
        raise UserError(f"adapter: its factors have the ranks {sorted(ranks)}; one rank is needed")
    return ranks.pop()


def extract(student: Weights, base: Weights, rank: int) -> Adapter:
    """The best factors of this rank for the change of every matrix of the blocks, by its singular values.

    Raises:
        UserError: a matrix has no such rank.
    """
    return {layer: _extract(layer, student, base, rank) for layer in block_matrices(base)}


def _extract(layer: str, student: Weights, base: Weights, rank: int) -> Change:
    change = student[f"{layer}.weight"] - base[f"{layer}.weight"]
    if rank > min(change.shape):
        raise UserError(f"--rank={rank}: {layer} is {list(change.shape)}, of rank {min(change.shape)} at most")
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    roots = values[:rank].sqrt()  # half of the size on each side: neither overflows when it is rounded
    return Change((roots[:, None] * right[:rank]).contiguous(), (left[:, :rank] * roots).contiguous())


def layers_of(factors: Factors) -> Adapter:
    """A stored adapter by layer; its scale is 1 (`gpd.models.adapters.load_factors`)."""
    return {
        name.removeprefix(PREFIX).removesuffix(DOWN): Change(
            down.float(), factors.tensors[name.removesuffix(DOWN) + UP].float()
        )
        for name, down in factors.tensors.items()
        if name.endswith(DOWN)
    }


def tensors_of(adapter: Adapter) -> Weights:
    """As diffusers and PEFT name them: lora_A is down, lora_B is up."""
    downs = {f"{PREFIX}{layer}{DOWN}": change.down for layer, change in adapter.items()}
    return downs | {f"{PREFIX}{layer}{UP}": change.up for layer, change in adapter.items()}
