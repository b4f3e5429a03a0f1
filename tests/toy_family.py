"""A base model that has nothing of Wan: a text is its letters, a latent the mean of 2 frames x 4 x 4 px."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpd.models.adapters import Factors
from gpd.models.base import BaseModel, Geometry
from gpd.models.network import VideoNetwork


class ToyNetwork(VideoNetwork):
    """A velocity that is a multiple of the latents, of the timestep and of the text's mean."""

    block_layers = ()
    time_width = 1

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor, horizon: Tensor | None = None) -> Tensor:
        rates = timesteps / 1000 * text.mean((1, 2))
        return latents * rates[:, None, None, None, None] * self.transformer.weight


class ToyTexts:
    def encode(self, prompts: list[str]) -> list[Tensor]:
        return [torch.tensor([[ord(letter) / 1000] for letter in prompt]) for prompt in prompts]


class ToyCodec:
    def encode(self, frames: np.ndarray, posterior: str = "mode", generator: Any = None) -> Tensor:
        clips = torch.from_numpy(frames).movedim(-1, 1).float() / 127.5 - 1
        return F.avg_pool3d(torch.cat([clips[:, :, :1], clips], 2), (2, 4, 4))

    def decode(self, latents: Tensor) -> np.ndarray:
        clips = F.interpolate(latents, scale_factor=(2.0, 4.0, 4.0))[:, :, 1:]
        frames: np.ndarray = ((clips + 1) * 127.5).clamp(0, 255).to(torch.uint8).movedim(1, -1).numpy()
        return frames


class ToyFamily(BaseModel):
    parts = ()
    text_length = 100
    solvers = {}  # noqa: RUF012 - as the protocol declares it
    geometry = Geometry(channels=3, latent_frames=2, latent_px=4, token_px=4)

    def load_text_encoder(self, device: torch.device | str = "cpu", dtype: str | None = None) -> ToyTexts:
        return ToyTexts()

    def load_codec(self, device: torch.device | str = "cpu") -> ToyCodec:
        return ToyCodec()

    def load_network(
        self,
        device: torch.device | str = "cpu",
        *,
        merge_padding: bool,
        dtype: str = "float32",
        gradient_checkpointing: bool = False,
    ) -> ToyNetwork:
        return ToyNetwork(nn.Linear(1, 1, bias=False).requires_grad_(False)).to(device)

    def save_student(self, folder: Path, network: VideoNetwork, *, grid_steps: int, shift: float) -> None:
        raise NotImplementedError("a toy that nobody distils")

    def save_adapter(self, folder: Path, factors: Factors, *, grid_steps: int, shift: float) -> None:
        raise NotImplementedError("a toy that nobody distils")
