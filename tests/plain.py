"""The published pipeline in plain diffusers, as a person without gpd samples from it."""

from pathlib import Path
from typing import Any

from torch import Tensor


def plain_latents(
    source: Path | Any, caption: str, noise: Tensor, *, steps: int, guidance_scale: float = 1.0
) -> Tensor:
    """What WanPipeline, loaded or still in its folder, makes of noise [1, C, F, H, W]: latents of the same shape."""
    from diffusers import WanPipeline

    pipeline = WanPipeline.from_pretrained(source) if isinstance(source, Path) else source
    pipeline.set_progress_bar_config(disable=True)
    _, _, frames, height, width = noise.shape
    latents: Tensor = pipeline(
        caption,
        height=8 * height,
        width=8 * width,
        num_frames=4 * (frames - 1) + 1,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        latents=noise,
        output_type="latent",
    ).frames
    return latents
