"""Wan2.1 as other programs name and load it."""

from pathlib import Path
from typing import Any

import torch

from gpd.models.exchange import Exchange, Weights
from gpd.models.folders import load_config, quiet_libraries
from gpd.models.wan.native import to_native

PUBLISHED = {(30, 12): "wan2.1_t2v_1.3b", (40, 40): "wan2.1_t2v_14b"}  # by layers and heads


class WanExchange(Exchange):
    """By diffusers: its pipeline, its loaders of LoRA files in both layouts, its reader of Wan's own files."""

    architecture = "wan2.1"
    implementation = "https://github.com/Wan-Video/Wan2.1"
    license = "apache-2.0"
    license_url = "https://www.apache.org/licenses/LICENSE-2.0"

    def published_name(self, folder: Path) -> str | None:
        """By the number of layers and heads."""
        config = load_config(folder / "transformer" / "config.json")
        return PUBLISHED.get((config["num_layers"], config["num_attention_heads"]))

    def to_native(self, name: str) -> str:
        """As in Wan's repository."""
        return to_native(name)

    def keeps_float32(self, name: str) -> bool:
        """Time embedding, modulation and the blocks' norms."""
        from diffusers import WanTransformer3DModel

        return any(part in name.split(".") for part in WanTransformer3DModel._keep_in_fp32_modules)

    def load_pipeline(self, folder: Path) -> Weights:
        """With every part: text encoder and VAE have to open too."""
        return _weights(_open(folder).transformer)

    def load_fused(self, base: Path, file: Path) -> Weights:
        """By `load_lora_weights` and `fuse_lora`; the other parts are not needed for it."""
        pipeline = _open(base, text_encoder=None, tokenizer=None, vae=None)
        pipeline.load_lora_weights(file.parent, weight_name=file.name, local_files_only=True)
        pipeline.fuse_lora()
        pipeline.unload_lora_weights()
        return _weights(pipeline.transformer)

    def load_native(self, file: Path, config: Path) -> Weights:
        """By `from_single_file`, each weight in the type that it is stored in."""
        from diffusers import WanTransformer3DModel

        quiet_libraries()
        return _weights(
            WanTransformer3DModel.from_single_file(
                str(file), config=str(config), subfolder="transformer", local_files_only=True
            )
        )


def _open(folder: Path, **parts: Any) -> Any:
    from diffusers import WanPipeline

    quiet_libraries()
    dtypes = {"transformer": torch.float32, "default": torch.bfloat16}  # of the others only whether they open is asked
    return WanPipeline.from_pretrained(folder, torch_dtype=dtypes, use_safetensors=True, local_files_only=True, **parts)


def _weights(transformer: Any) -> Weights:
    return {name: weight.detach().float() for name, weight in transformer.state_dict().items()}
