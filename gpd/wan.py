"""Wan2.1 as diffusers stores it: the only room that speaks diffusers and transformers.

Everything outside sees networks as `network(latents, sigmas, text) -> velocity` and text as one tensor
[B, L, D] whose padding rows are zero.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEXT_LENGTH = 512  # rows of text that Wan's cross-attention sees, padding included


class TextAttention:
    """Attention of Wan's blocks with an additive bias on the text's columns.

    Wan pads every text with zero rows to 512 and masks none of them, so all padding columns have the same key
    and value. Keeping one (or any number m > 0) of n such columns and adding log(n / m) to their scores gives the
    same softmax: exp(s + log(n / m)) * m = exp(s) * n. `bias` is [B, 1, 1, L] or None.
    """

    def __init__(self) -> None:
        self.bias: Tensor | None = None

    def __call__(self, attention, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            features.unflatten(2, (attention.heads, -1)).transpose(1, 2)
            for features in (
                attention.norm_q(attention.to_q(hidden_states)),
                attention.norm_k(attention.to_k(text)),
                attention.to_v(text),
            )
        )
        if rotary_emb is not None:
            query, key = rotate(query, rotary_emb), rotate(key, rotary_emb)
        bias = None if encoder_hidden_states is None else self.bias
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return attention.to_out[0](mixed.transpose(1, 2).flatten(2).type_as(hidden_states))


def rotate(features: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding of [B, heads, L, D]: neighbouring pairs of features turn by the token's angle."""
    cosine, sine = (table[0, :, 0, 0::2].to(features.dtype) for table in rotary)
    even, odd = features.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)


def padding_bias(text: Tensor) -> tuple[Tensor, Tensor]:
    """One padding column more, and the bias under which the columns stand for 512.

    Args:
        text: [B, L, D] with zero rows as padding, L <= 512.

    Returns:
        Text [B, L + 1, D] (or [B, 512, D]) and bias [B, 1, 1, columns].
    """
    text = F.pad(text, (0, 0, 0, min(1, TEXT_LENGTH - text.shape[1])))
    is_padding = ~text.any(-1)
    num_here = is_padding.sum(-1, keepdim=True).clamp(min=1)
    num_in_wan = TEXT_LENGTH - text.shape[1] + num_here
    bias = torch.where(is_padding, torch.log(num_in_wan / num_here), 0.0)
    return text, bias[:, None, None, :].to(text.dtype)


class VelocityNetwork(nn.Module):
    """A Wan transformer as `network(latents, timesteps, text)`.

    Args of a call: latents [B, C, F, H, W], timesteps [B] in [0, 1000], text [B, L, D] zero-padded.
    Returns: velocity [B, C, F, H, W] in the latents' type.
    """

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer
        self.attention = TextAttention()
        transformer.set_attn_processor(self.attention)

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        text, self.attention.bias = padding_bias(text)
        return self.transformer(latents, timesteps, text, return_dict=False)[0]


def make_transformer(config: dict) -> nn.Module:
    """A WanTransformer3DModel with random weights."""
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(**config)


def make_vae(config: dict) -> nn.Module:
    """An AutoencoderKLWan with random weights."""
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(**config)


def make_text_encoder(config: dict) -> nn.Module:
    """A UMT5 encoder with random weights."""
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(UMT5Config(**config)).eval()


def patchify(clips: Tensor, size: int) -> Tensor:
    """The VAE's own space-to-channels: [B, C, F, H, W] -> [B, C * size^2, F, H / size, W / size]."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import patchify as vae_patchify

    return vae_patchify(clips, size)
