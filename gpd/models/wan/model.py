"""Wan2.1 as a base model."""

from pathlib import Path

import torch

from gpd.models.adapters import Factors, save_factors
from gpd.models.base import BaseModel, Geometry
from gpd.models.heads import save_heads
from gpd.models.network import VideoNetwork, save_steps
from gpd.models.wan.codec import ClipCodec, load_geometry
from gpd.models.wan.exchange import WanExchange
from gpd.models.wan.kinds import check_kind, check_published
from gpd.models.wan.network import load_network
from gpd.models.wan.solvers import SOLVERS, student_scheduler
from gpd.models.wan.store import hide_transformer, save_student
from gpd.models.wan.text import TEXT_LENGTH, TextEncoder


class Wan(BaseModel):
    """Wan2.1 for text to video, of any size. Other kinds of Wan have the same class name; they are refused."""

    parts = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")
    text_length = TEXT_LENGTH
    solvers = SOLVERS
    exchange = WanExchange()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        check_kind(folder)

    def check_published(self, repository: str) -> None:
        """Compares the transformer's config with the published one."""
        check_published(self.folder, repository)

    @property
    def geometry(self) -> Geometry:
        """4 frames x 8 x 8 px a latent, 2 x 2 latents a token."""
        return load_geometry(self.folder)

    def load_text_encoder(self, device: torch.device | str = "cpu", dtype: str | None = None) -> TextEncoder:
        """UMT5: 5.7 billion weights at Wan's size."""
        return TextEncoder(self.folder, device, dtype)

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
        """Hard links to this model's other parts, if the file system has them.

        A headed student has its backbone with the mean of the heads as last layer, and the heads beside it; plain
        pipelines find no transformer there.
        """
        with network.plain():
            save_student(folder, network.transformer, self.folder, grid_steps=grid_steps, shift=shift)
        if network.heads is not None:
            save_heads(folder, network.heads)
            hide_transformer(folder)
        if network.steps is not None:
            save_steps(folder, network.steps)

    def save_adapter(self, folder: Path, factors: Factors, *, grid_steps: int, shift: float) -> None:
        """For `WanPipeline.load_lora_weights(folder)`."""
        save_factors(folder, factors)
        student_scheduler(grid_steps, shift).save_pretrained(folder / "scheduler")
