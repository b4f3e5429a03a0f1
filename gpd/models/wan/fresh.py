"""Parts of Wan with random weights, from which the miniature is trained."""

from typing import Any

from torch import Tensor


def make_transformer(config: dict[str, Any]) -> Any:
    """A WanTransformer3DModel with random weights."""
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(**config)


def make_vae(config: dict[str, Any]) -> Any:
    """An AutoencoderKLWan with random weights."""
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(**config)


def make_text_encoder(config: dict[str, Any]) -> Any:
    """A UMT5 encoder with random weights."""
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(UMT5Config(**config)).eval()


def patchify(clips: Tensor, size: int) -> Tensor:
    """The VAE's own space-to-channels: [B, C, F, H, W] -> [B, C * size^2, F, H / size, W / size]."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import patchify as vae_patchify

    patches: Tensor = vae_patchify(clips, size)
    return patches
