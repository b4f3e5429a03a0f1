"""A Wan network without its weights: names, shapes and dtypes as after loading, and what a forward of it computes."""

import math
from typing import Any, NamedTuple

import torch
from torch import nn

from gpd.models.wan.architectures import Architecture
from gpd.models.wan.fresh import make_transformer
from gpd.models.wan.network import VelocityNetwork
from gpd.models.wan.text import TEXT_LENGTH


def outline(
    architecture: Architecture, *, dtype: str, merge_padding: bool, num_blocks: int | None = None
) -> VelocityNetwork:
    """The transformer on the meta device; what Wan keeps in float32 is float32.

    Args:
        num_blocks: of its blocks, which are all alike; all if None.
    """
    blocks = architecture.transformer["num_layers"] if num_blocks is None else num_blocks
    with torch.device("meta"):
        transformer = make_transformer({**architecture.transformer, "num_layers": blocks})
        for name, weight in transformer.named_parameters():
            if not set(name.split(".")) & set(transformer._keep_in_fp32_modules):
                weight.data = weight.data.to(getattr(torch, dtype))
        return VelocityNetwork(transformer, merge_padding)


def forward_flops(transformer: dict[str, Any], latent_shape: tuple[int, ...], text_rows: int = TEXT_LENGTH) -> float:
    """Floating-point operations of one forward of one sample; a product and a sum are two.

    Counted are matrix products, attention and the convolution of the patches:

        self-attention       8 n d^2 + 4 n^2 d          n tokens of width d
        text attention       4 n d^2 + 4 m d^2 + 4 n m d   m rows of text
        feed-forward         4 n d f                    f its inner width
        before and after     patches, text and time embeddings, the last layer

    Args:
        transformer: its config.
        latent_shape: [C, F, H, W].
        text_rows: that the text attention sees, padding included.
    """
    channels, *size = latent_shape
    patch = transformer["patch_size"]
    tokens = math.prod(length // step for length, step in zip(size, patch, strict=True))
    width = transformer["num_attention_heads"] * transformer["attention_head_dim"]
    of_self = 8 * tokens * width**2 + 4 * tokens**2 * width
    of_text = 4 * (tokens + text_rows) * width**2 + 4 * tokens * text_rows * width
    of_ffn = 4 * tokens * width * transformer["ffn_dim"]
    per_token = 2 * math.prod(patch) * width * (channels + transformer["out_channels"])
    embedding = 2 * text_rows * width * (transformer["text_dim"] + width)
    time = 2 * width * (transformer["freq_dim"] + 7 * width)
    return float(transformer["num_layers"] * (of_self + of_text + of_ffn) + tokens * per_token + embedding + time)


def weight_bytes(network: nn.Module) -> int:
    """Bytes of all parameters."""
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


class CodecFlops(NamedTuple):
    """Operations of the VAE for each pixel of each frame, in float32."""

    encode: float
    decode: float


def codec_flops(vae: dict[str, Any]) -> CodecFlops:
    """Of Wan's VAE as torch counts them at 81 frames of 480 x 832 px: 162.5 TFLOP to encode a clip and 274.1 to decode
    it. Other widths by their square.
    """
    pixels = 81 * 480 * 832
    encoder, decoder = vae["base_dim"] / 96, (vae.get("decoder_base_dim") or vae["base_dim"]) / 96
    return CodecFlops(encode=162.5e12 / pixels * encoder**2, decode=274.1e12 / pixels * decoder**2)


def text_flops(text_encoder: dict[str, Any], tokens: int) -> float:
    """Of the text encoder on one prompt: two for each token and number of its matrices."""
    width, inner = text_encoder["d_model"], text_encoder["num_heads"] * text_encoder["d_kv"]
    return 2.0 * tokens * text_encoder["num_layers"] * (4 * width * inner + 3 * width * text_encoder["d_ff"])
