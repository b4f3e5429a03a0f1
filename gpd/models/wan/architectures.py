"""The published sizes of Wan2.1 for text to video, as data: what its folders' config.json say, without the folders.

Source: transformer/, text_encoder/ and vae/config.json of Wan-AI/Wan2.1-T2V-1.3B-Diffusers and -14B-Diffusers.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpd.models.folders import load_config

SHARED_TRANSFORMER: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "attention_head_dim": 128,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 4096,
    "freq_dim": 256,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
    "image_dim": None,
    "added_kv_proj_dim": None,
    "rope_max_seq_len": 1024,
}
UMT5_XXL: dict[str, Any] = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": True,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
VAE: dict[str, Any] = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],  # the key is spelt so in diffusers
    "dropout": 0.0,
}


@dataclass(frozen=True)
class Architecture:
    """The networks of a published model: `make_transformer(architecture.transformer)` has its names and shapes.

    Attributes:
        transformer, text_encoder, vae: arguments of `make_transformer`, `make_text_encoder` and `make_vae`.
        num_parameters: of the transformer, as published; 0 if it is not.
    """

    name: str
    repository: str
    num_parameters: int
    transformer: dict[str, Any] = field(hash=False)
    text_encoder: dict[str, Any] = field(default_factory=lambda: UMT5_XXL, hash=False)
    vae: dict[str, Any] = field(default_factory=lambda: VAE, hash=False)


def _transformer(layers: int, heads: int, ffn: int) -> dict[str, Any]:
    return {**SHARED_TRANSFORMER, "num_layers": layers, "num_attention_heads": heads, "ffn_dim": ffn}


ARCHITECTURES: dict[str, Architecture] = {  # by the name of the profile's base folder
    "wan2.1-1.3b": Architecture(
        name="Wan2.1-T2V-1.3B",
        repository="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        num_parameters=1_418_996_800,
        transformer=_transformer(layers=30, heads=12, ffn=8960),
    ),
    "wan2.1-14b": Architecture(
        name="Wan2.1-T2V-14B",
        repository="Wan-AI/Wan2.1-T2V-14B-Diffusers",
        num_parameters=14_288_491_584,
        transformer=_transformer(layers=40, heads=40, ffn=13824),
    ),
}
PUBLISHED = {architecture.repository: architecture for architecture in ARCHITECTURES.values()}


def read_architecture(folder: Path) -> Architecture:
    """What a pipeline's folder says about itself; a key that it leaves out is Wan2.1's.

    Raises:
        UserError: a config is missing or is no JSON object.
    """
    transformer, vae, text = (
        {key: value for key, value in load_config(folder / part / "config.json").items() if not key.startswith("_")}
        for part in ("transformer", "vae", "text_encoder")
    )
    return Architecture(
        name=folder.name,
        repository="",
        num_parameters=0,
        transformer={**SHARED_TRANSFORMER, **transformer},
        text_encoder={**UMT5_XXL, **text},
        vae={**VAE, **vae},
    )
