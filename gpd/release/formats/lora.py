"""Forms of low-rank factors on the base model: what they share."""

from abc import abstractmethod
from pathlib import Path

import torch
from torch import Tensor

from gpd.models.exchange import Weights
from gpd.release.factors import Adapter, add, rank_of
from gpd.release.formats.format import DTYPES, Format, Source, rounded
from gpd.release.header import save_with_header


class LoraFormat(Format):
    """A file of factors, tried on the base model.

    The scale alpha / rank lies inside the factors and alpha equals the rank: a reader without alpha takes a scale of 1.
    """

    dtype = "bf16"
    suffix = ""

    def reason_against(self, source: Source) -> str | None:
        """A student of full weights has factors only if they are extracted; factors need a base to be tried on."""
        student = source.student
        if student.adapter is None and source.rank is None:
            return (
                f"{student.manifest.facts.stage} trained all weights; --rank R extracts factors and says what is lost"
            )
        if student.adapter is not None and source.rank is not None:
            return f"--rank={source.rank}: {student.manifest.facts.stage} has factors of its own"
        if student.base is None:
            return f"the base model {student.base_identity.content[:12]} is not here to try it on"
        return None

    def write(self, source: Source, folder: Path, dtype: str) -> Path:
        """With the lineage in the header."""
        adapter = self.layers(source)
        path = folder / f"{source.student.stem}_lora_rank{rank_of(adapter)}_{dtype}{self.suffix}.safetensors"
        tensors = {name: rounded(name, tensor, dtype) for name, tensor in self.tensors(source, adapter).items()}
        save_with_header(tensors | self.scales(source, adapter), path, self.header(source, adapter))
        return path

    def read(self, source: Source, path: Path) -> Weights:
        """By diffusers, fused into the base model."""
        return source.student.exchange.load_fused(source.student.base_folder, path)

    def expect(self, source: Source, dtype: str) -> Weights:
        """The base model with the rounded factors added by us."""
        adapter = self.layers(source)
        return add(source.student.base_weights, {name: found.to(DTYPES[dtype]) for name, found in adapter.items()})

    def allowed(self, source: Source, name: str, expected: Tensor) -> float:
        """A thousandth of the matrix's change and float32's rounding of the weight: a product's order varies."""
        change = (expected - source.student.base_weights[name]).abs().max()
        return float(1e-3 * change + 4 * torch.finfo(torch.float32).eps * expected.abs().max())

    def rank(self, source: Source) -> int:
        """Of every layer."""
        return rank_of(self.layers(source))

    def layers(self, source: Source) -> Adapter:
        """The factors that the file holds."""
        adapter = source.adapter
        assert adapter is not None, "reason_against comes first"
        return adapter

    @abstractmethod
    def tensors(self, source: Source, adapter: Adapter) -> Weights:
        """The factors by the names that the readers expect."""

    def scales(self, source: Source, adapter: Adapter) -> Weights:
        """What stands beside the factors, unrounded."""
        return {}

    @abstractmethod
    def header(self, source: Source, adapter: Adapter) -> dict[str, str]:
        """Of the file."""
