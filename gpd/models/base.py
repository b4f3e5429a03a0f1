"""What gpd needs of a base model: all that another family of models would do in its own way.

A family is a class in a module or folder of gpd/models/ and a row in gpd/models/families.py; its settings are a profile
in gpd/models/profiles/. Everything outside sees networks as `VideoNetwork` and a text as one tensor [L, D].
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from gpd.artifacts import UserError
from gpd.core.sampler import Solver
from gpd.models.adapters import Factors
from gpd.models.exchange import Exchange
from gpd.models.network import VideoNetwork

MakeSolver = Callable[[int, float], Solver]  # number of steps, shift


@dataclass(frozen=True)
class Geometry:
    """What of a clip one latent and one token stand for.

    Attributes:
        channels: values of a latent.
        latent_frames: the first frame has latents of its own; after it, so many frames share theirs.
        latent_px, token_px: a latent's and a token's square of the picture, in px along its edge.
    """

    channels: int
    latent_frames: int
    latent_px: int
    token_px: int

    def check(self, num_frames: int, height: int, width: int) -> None:
        """Refuses sizes of a clip, those of params.yaml, that do not come out even.

        Raises:
            UserError: one line for each size that does not fit.
        """
        if found := self.mistakes(num_frames, height, width):
            raise UserError("\n".join(f"params.yaml: model: {mistake}" for mistake in found))

    def mistakes(self, num_frames: int, height: int, width: int) -> list[str]:
        """A line for each size of a clip that does not come out even."""
        mistakes = []
        rest = (num_frames - 1) % self.latent_frames
        if rest:
            below, above = num_frames - rest, num_frames - rest + self.latent_frames
            mistakes.append(
                f"num_frames={num_frames} is not {self.latent_frames}k + 1; the nearest are {below} and {above}"
            )
        for name, size in (("height", height), ("width", width)):
            if size % self.token_px:
                mistakes.append(f"{name}={size} is not a multiple of {self.token_px}")
        return mistakes

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """[C, F, H, W] of the latents of a clip of this many frames and px."""
        frames = (num_frames - 1) // self.latent_frames + 1
        return (self.channels, frames, height // self.latent_px, width // self.latent_px)


class TextEncoder(Protocol):
    """Prompts to embeddings."""

    def encode(self, prompts: list[str]) -> list[Tensor]:
        """Embeddings [L_i, D], float32 on the CPU, of the prompts' real tokens."""


class Codec(Protocol):
    """Frames to latents and back."""

    def encode(self, frames: np.ndarray, posterior: str = ..., generator: Any = ...) -> Tensor:
        """Normalised latents [B, C, f, h, w] of frames [B, F, H, W, 3] uint8."""

    def decode(self, latents: Tensor) -> np.ndarray:
        """Frames [B, F, H, W, 3] uint8 of normalised latents [B, C, f, h, w]."""


class BaseModel(ABC):
    """A model in a folder of diffusers' format, opened without loading weights: the base model, or a student of it.

    Attributes:
        parts: the folders that a complete one has beside model_index.json.
        text_length: rows of text that the network sees at most, padding included.
        solvers: by the names that params.yaml gives them; a solver of order 2 keeps history, so one for each batch.
        exchange: how other programs read its weights; None if nobody else has such a model.
    """

    parts: tuple[str, ...]
    text_length: int
    solvers: Mapping[str, MakeSolver]
    exchange: Exchange | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    @abstractmethod
    def geometry(self) -> Geometry:
        """What its latents and tokens stand for."""

    def check_published(self, repository: str) -> None:  # noqa: B027 - a family that knows no repositories
        """Whether the networks are of the sizes that this repository of the hub has, if the family knows it.

        Raises:
            UserError: they are not.
        """

    @abstractmethod
    def load_text_encoder(self, device: torch.device | str = "cpu", dtype: str | None = None) -> TextEncoder:
        """Tokenizer and text encoder.

        Args:
            dtype: of the weights; None for the one that they are stored in.
        """

    @abstractmethod
    def load_codec(self, device: torch.device | str = "cpu") -> Codec:
        """The VAE, in float32."""

    @abstractmethod
    def load_network(
        self,
        device: torch.device | str = "cpu",
        *,
        merge_padding: bool,
        dtype: str = "float32",
        gradient_checkpointing: bool = False,
    ) -> VideoNetwork:
        """The transformer on its device, in eval mode; a student of several horizons with their vectors.

        Args:
            merge_padding: compute the text's padding once instead of row by row, if the family pads texts.
            dtype: of the weights; what the family keeps in float32 stays so. float32 if the device has no
                instructions for bfloat16 (`gpd.core.precision`).
        """

    def student_dtype(self, dtype: str) -> str:
        """The number format in which a student is read to be sampled or asked, where the base model is read in `dtype`.

        Whole weights come as float32: bfloat16 keeps 7 bits, and would round away most of what a stage with a low rate
        has learnt.
        """
        return "float32"

    @abstractmethod
    def save_student(self, folder: Path, network: VideoNetwork, *, grid_steps: int, shift: float) -> None:
        """Writes a pipeline that samples by itself: the network, a scheduler that walks the trained grid (every
        horizon-th of `grid_steps` shifted points), all else from this model.
        """

    @abstractmethod
    def save_adapter(self, folder: Path, factors: Factors, *, grid_steps: int, shift: float) -> None:
        """Writes a student that is this model with low-rank factors: the factors in diffusers' format and a scheduler
        that walks the trained grid; nothing of this model (`gpd.models.adapted` adds which one it is).
        """
