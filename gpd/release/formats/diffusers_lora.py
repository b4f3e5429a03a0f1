"""A LoRA file in the layout of diffusers and PEFT, for `pipeline.load_lora_weights`."""

import json

from gpd.models.adapters import HEADER_KEY
from gpd.models.exchange import Weights
from gpd.release.factors import PREFIX, Adapter, check_layers, rank_of, tensors_of
from gpd.release.formats.format import Source
from gpd.release.formats.lora import LoraFormat
from gpd.release.header import make_header


class DiffusersLora(LoraFormat):
    """transformer.blocks.0.attn1.to_q.lora_A.weight, and PEFT's settings in the header."""

    name = "lora"
    suffix = "_diffusers"

    def tensors(self, source: Source, adapter: Adapter) -> Weights:
        """A is down, B is up."""
        check_layers(adapter, source.student.base_weights)
        return tensors_of(adapter)

    def header(self, source: Source, adapter: Adapter) -> dict[str, str]:
        """With what PEFT needs to set the factors up."""
        rank = rank_of(adapter)
        settings = {"r": rank, "lora_alpha": rank, "target_modules": sorted(adapter), "bias": "none"}
        packed = {f"{PREFIX}{key}": value for key, value in settings.items()}
        return make_header(source.student, is_adapter=True) | {HEADER_KEY: json.dumps(packed, sort_keys=True)}
