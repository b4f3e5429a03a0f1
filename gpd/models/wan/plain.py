"""A published folder in plain diffusers, as a person without gpd samples from it."""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from gpd.models.folders import quiet_libraries


def sample_plain(
    folder: Path, prompt: str, noise: Tensor, *, num_steps: int, dtype: str = "float32", device: str = "cpu"
) -> Tensor:
    """Latents [1, C, F, H, W], float32 on the CPU, that WanPipeline makes of noise of the same shape, unguided.

    Args:
        dtype: of transformer and text encoder.
    """
    from diffusers import WanPipeline

    quiet_libraries()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # newer diffusers call it dtype, older ones know torch_dtype only
        pipeline = WanPipeline.from_pretrained(folder, torch_dtype=getattr(torch, dtype), local_files_only=True)
    pipeline.to(device).set_progress_bar_config(disable=True)
    _, _, frames, height, width = noise.shape
    latents: Tensor = pipeline(
        prompt,
        height=pipeline.vae_scale_factor_spatial * height,
        width=pipeline.vae_scale_factor_spatial * width,
        num_frames=pipeline.vae_scale_factor_temporal * (frames - 1) + 1,
        num_inference_steps=num_steps,
        guidance_scale=1.0,
        latents=noise.to(device),
        output_type="latent",
    ).frames
    return latents.float().cpu()
