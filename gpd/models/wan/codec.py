"""Wan's VAE: frames to latents and back."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpd.models.base import Geometry
from gpd.models.folders import check_part, load_config, quiet_libraries
from gpd.models.wan.loaded import whole

TILED_BELOW = 40e9  # bytes of a GPU's memory: the whole VAE at 480 x 832 beside the transformer leaves none of 24 GB


class ClipCodec:
    """The VAE of a pipeline folder: frames to normalised latents and back, in float32.

    On a GPU with less than `TILED_BELOW` bytes pictures of more than 256 px go through it in overlapping tiles, blended
    where they meet: another result than in one piece, by little. So figures are compared within one kind of device.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        from diffusers import AutoencoderKLWan

        quiet_libraries()
        check_part(Path(folder), "vae")
        self.device = device
        loaded = AutoencoderKLWan.from_pretrained(
            folder,
            subfolder="vae",
            torch_dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        self.vae = whole(loaded, Path(folder) / "vae")
        self.vae.to(device).eval()
        if goes_in_tiles(device):
            self.vae.enable_tiling()
        config = self.vae.config
        # The pipeline's normalisation lies outside the VAE: (z - mean) / std going in, z * std + mean going out.
        self.mean = torch.tensor(config.latents_mean, device=device).view(1, -1, 1, 1, 1)
        self.std = torch.tensor(config.latents_std, device=device).view(1, -1, 1, 1, 1)

    @torch.no_grad()
    def encode(self, frames: np.ndarray, posterior: str = "mode", generator: torch.Generator | None = None) -> Tensor:
        """Normalised latents [B, C, f, h, w] of frames [B, F, H, W, 3] uint8.

        Args:
            posterior: "mode", or "sample" drawn with `generator`, or with one for each clip.
        """
        clips = torch.from_numpy(frames).movedim(-1, 1).to(self.device).float() / 127.5 - 1.0
        distribution = self.vae.encode(clips).latent_dist
        latents: Tensor = distribution.mode() if posterior == "mode" else distribution.sample(generator)
        return ((latents - self.mean) / self.std).cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Frames [B, F, H, W, 3] uint8 of normalised latents [B, C, f, h, w]."""
        raw = latents.to(self.device).float() * self.std + self.mean
        clips = self.vae.decode(raw).sample.clamp(-1, 1)
        frames: np.ndarray = ((clips + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).cpu().numpy()
        return frames


def goes_in_tiles(device: torch.device | str) -> bool:
    """Whether this device has too little memory for pictures in one piece; a CPU never has."""
    if torch.device(device).type != "cuda":
        return False
    return torch.cuda.get_device_properties(device).total_memory < TILED_BELOW


def load_geometry(folder: Path) -> Geometry:
    """From the configs of VAE and transformer."""
    return geometry_of(load_config(folder / "vae" / "config.json"), load_config(folder / "transformer" / "config.json"))


def geometry_of(vae: dict[str, Any], transformer: dict[str, Any]) -> Geometry:
    """From two configs; a key that they leave out has diffusers' default, that of Wan2.1."""
    _, *patch = transformer.get("patch_size", (1, 2, 2))
    latent_px = vae.get("scale_factor_spatial", 8)
    return Geometry(
        channels=vae.get("z_dim", 16),
        latent_frames=vae.get("scale_factor_temporal", 4),
        latent_px=latent_px,
        token_px=latent_px * max(patch),
    )
