"""Low-rank factors of a student's change to its base model: read, extracted, made complete, added."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from gpd.artifacts import UserError
from gpd.models.exchange import Weights

METADATA = "lora_adapter_metadata"  # diffusers' key in the header of a file
PREFIX = "transformer."


@dataclass(frozen=True)
class Factors:
    """The change up @ down of one matrix [m, n]: down [r, n], up [m, r]. The scale alpha / r is inside `up`."""

    down: Tensor
    up: Tensor

    @property
    def rank(self) -> int:
        """r."""
        return int(self.down.shape[0])

    @property
    def change(self) -> Tensor:
        """[m, n], float32."""
        return self.up.float() @ self.down.float()

    def to(self, dtype: torch.dtype) -> "Factors":
        """Rounded."""
        return Factors(self.down.to(dtype), self.up.to(dtype))


Adapter = dict[str, Factors]  # by layer, as diffusers names it


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
    return base | {f"{layer}.weight": base[f"{layer}.weight"] + found.change for layer, found in adapter.items()}


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
        layer: Factors(torch.zeros(rank, columns), torch.zeros(rows, rank))
        for layer, (rows, columns) in block_matrices(base).items()
    }
    return zeros | adapter


def rank_of(adapter: Adapter) -> int:
    """The rank that all its factors have.

    Raises:
        UserError: there are none, or they differ.
    """
    ranks = {factors.rank for factors in adapter.values()}
    if len(ranks) != 1:
        raise UserError(f"adapter: its factors have the ranks {sorted(ranks)}; one rank is needed")
    return ranks.pop()


def extract(student: Weights, base: Weights, rank: int) -> Adapter:
    """The best factors of this rank for the change of every matrix of the blocks, by its singular values.

    Raises:
        UserError: a matrix has no such rank.
    """
    return {layer: _extract(layer, student, base, rank) for layer in block_matrices(base)}


def _extract(layer: str, student: Weights, base: Weights, rank: int) -> Factors:
    change = student[f"{layer}.weight"] - base[f"{layer}.weight"]
    if rank > min(change.shape):
        raise UserError(f"--rank={rank}: {layer} is {list(change.shape)}, of rank {min(change.shape)} at most")
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    roots = values[:rank].sqrt()  # half of the size on each side: neither overflows when it is rounded
    return Factors((roots[:, None] * right[:rank]).contiguous(), (left[:, :rank] * roots).contiguous())


def read_adapter(file: Path) -> Adapter:
    """The factors in a LoRA file of diffusers' layout, float32.

    alpha is in the header. Where none is given it equals the rank, as in PEFT's own default reading of such a file.

    Raises:
        UserError: the file has keys that are no factors, or one of a pair is missing.
    """
    with safe_open(file, "pt") as opened:
        settings = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
        tensors = {name.removeprefix(PREFIX): opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    downs = {name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")}
    ups = {name.removesuffix(".lora_B.weight") for name in tensors if name.endswith(".lora_B.weight")}
    known = {f"{layer}.lora_{letter}.weight" for layer in downs & ups for letter in "AB"}
    if unknown := sorted(tensors.keys() - known):
        raise UserError(f"{file}: {unknown[0]} is no pair lora_A, lora_B of one layer")
    return {
        layer: Factors(
            tensors[f"{layer}.lora_A.weight"],
            tensors[f"{layer}.lora_B.weight"] * _scale(settings, layer, tensors[f"{layer}.lora_A.weight"].shape[0]),
        )
        for layer in sorted(downs)
    }


def _scale(settings: dict[str, object], layer: str, rank: int) -> float:
    patterns = settings.get(f"{PREFIX}alpha_pattern") or {}
    assert isinstance(patterns, dict)
    alpha = patterns.get(layer, settings.get(f"{PREFIX}lora_alpha", rank))
    return float(alpha) / rank
