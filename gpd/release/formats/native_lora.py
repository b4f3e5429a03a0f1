"""A LoRA file with the names of the model's authors, for ComfyUI and most tools."""

import torch

from gpd.models.exchange import Weights
from gpd.release.factors import Adapter, complete
from gpd.release.formats.format import Source
from gpd.release.formats.lora import LoraFormat
from gpd.release.header import make_header


class NativeLora(LoraFormat):
    """diffusion_model.blocks.0.self_attn.q.lora_down.weight, lora_up.weight and alpha.

    Every matrix of every block has factors, if need be zero: converters fail on a part of them.
    """

    name = "lora-native"

    def layers(self, source: Source) -> Adapter:
        """Completed."""
        return complete(super().layers(source), source.student.base_weights)

    def tensors(self, source: Source, adapter: Adapter) -> Weights:
        """By native layer."""
        named = {self._native(source, layer): change for layer, change in adapter.items()}
        downs = {f"{layer}.lora_down.weight": change.down for layer, change in named.items()}
        ups = {f"{layer}.lora_up.weight": change.up for layer, change in named.items()}
        return downs | ups

    def scales(self, source: Source, adapter: Adapter) -> Weights:
        """alpha, equal to the rank, as a float32 scalar."""
        return {
            f"{self._native(source, layer)}.alpha": torch.tensor(float(change.rank))
            for layer, change in adapter.items()
        }

    def header(self, source: Source, adapter: Adapter) -> dict[str, str]:
        """No more than every file has."""
        return make_header(source.student, is_adapter=True)

    def _native(self, source: Source, layer: str) -> str:
        return f"diffusion_model.{source.student.exchange.to_native(layer)}"
