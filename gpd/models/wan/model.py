"""Wan2.1 as a base model."""

from pathlib import Path

import torch

from gpd.artifacts import UserError
from gpd.models.adapters import Factors, save_factors
from gpd.models.base import BaseModel, Geometry
from gpd.models.folders import INDEX, load_config
from gpd.models.network import VideoNetwork, save_steps
from gpd.models.wan.codec import ClipCodec, load_geometry
from gpd.models.wan.network import load_network
from gpd.models.wan.solvers import SOLVERS, student_scheduler
from gpd.models.wan.store import save_student
from gpd.models.wan.text import TEXT_LENGTH, TextEncoder

# Keys of model_index.json that diffusers' WanPipeline has for Wan2.2; null, false or absent for Wan2.1.
ONLY_IN_WAN22 = {
    "boundary_ratio": "one transformer for high noise and another for low",
    "expand_timesteps": "a timestep for each token",
}


class Wan(BaseModel):
    """Wan2.1 for text to video, of any size. Wan2.2's pipelines have the same class name; they are refused."""

    parts = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")
    text_length = TEXT_LENGTH
    solvers = SOLVERS

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        index = load_config(folder / INDEX)
        for key, why in ONLY_IN_WAN22.items():
            if index.get(key):
                raise UserError(f"{folder / INDEX}: {key}={index[key]!r}: {why}, as in Wan2.2; gpd has Wan2.1 only")

    @property
    def geometry(self) -> Geometry:
        """4 frames x 8 x 8 px a latent, 2 x 2 latents a token."""
        return load_geometry(self.folder)

    def load_text_encoder(self, device: torch.device | str = "cpu") -> TextEncoder:
        """UMT5."""
        return TextEncoder(self.folder, device)

    def load_codec(self, device: torch.device | str = "cpu") -> ClipCodec:
        """The causal VAE."""
        return ClipCodec(self.folder, device)

    def load_network(
        self,
        device: torch.device | str = "cpu",
        *,
        merge_padding: bool,
        dtype: str = "float32",
        gradient_checkpointing: bool = False,
    ) -> VideoNetwork:
        """The transformer. Norms, time embedding and modulation stay in float32, as diffusers loads them."""
        network = load_network(
            self.folder,
            merge_padding=merge_padding,
            dtype=dtype,
            device=device,
            gradient_checkpointing=gradient_checkpointing,
        )
        return network.to(device)

    def save_student(self, folder: Path, network: VideoNetwork, *, grid_steps: int, shift: float) -> None:
        """Hard links to this model's other parts, if the file system has them."""
        save_student(folder, network.transformer, self.folder, grid_steps=grid_steps, shift=shift)
        if network.steps is not None:
            save_steps(folder, network.steps)

    def save_adapter(self, folder: Path, factors: Factors, *, grid_steps: int, shift: float) -> None:
        """For `WanPipeline.load_lora_weights(folder)`."""
        save_factors(folder, factors)
        student_scheduler(grid_steps, shift).save_pretrained(folder / "scheduler")
