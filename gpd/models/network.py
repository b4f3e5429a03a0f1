"""A base model's network as training and sampling see it, and what it learns of steps over several horizons."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gpd.core.schedule import Grid
from gpd.core.velocity import Network
from gpd.documents import check_files
from gpd.models.heads import HEADS_FILE, Fused, Heads

STEPS_FILE = "horizons.safetensors"  # in a student's folder: its `StepEmbedding`


class StepEmbedding(nn.Module):
    """One learnt vector for each horizon, zero at first (cf. Frans et al. 2024, arXiv 2410.12557).

    Args:
        horizons: in grid intervals. Any other, a stage's own among them, has the zero vector: for it the network is the
            plain one.
    """

    def __init__(self, horizons: Sequence[int], dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(len(horizons), dim))
        self.horizons: Tensor
        self.register_buffer("horizons", torch.tensor(horizons, dtype=torch.int64))

    def forward(self, horizon: Tensor) -> Tensor:
        """Vectors [B, dim] of horizons [B] int64. All rows take part, so that each has a gradient in every batch."""
        is_learnt = horizon[:, None] == self.horizons
        return (is_learnt[..., None] * self.vectors).sum(1)


class VideoNetwork(nn.Module, ABC):
    """A transformer as `network(latents, timesteps, text) -> velocity`, the same call for every base model.

    Args of a call: latents [B, C, F, H, W], timesteps [B] in [0, 1000], text [B, L, D] zero-padded; horizon [B], the
        grid intervals that each sample's step covers, if the network has learnt several (`embed_steps`); mix
        [B, M, N], shares of heads in each of M velocities, if it has them (`grow_heads`).
    Returns: velocity [B, C, F, H, W], float32; [B, M, C, F, H, W] with a mix.

    Attributes:
        block_layers: ends of the names of the blocks' linear layers, whose matrices low-rank factors are for:
            `[name for name, _ in network.named_modules() if name.endswith(network.block_layers)]`.
        last_layer: path of the one linear layer that ends the network, which heads are copies of; None if it has none.
        transformer: the part that is trained and stored, as diffusers loads it.
        steps: None if the network has learnt one horizon only.
    """

    block_layers: ClassVar[tuple[str, ...]]
    last_layer: ClassVar[str | None] = None

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer: Any = transformer
        self.steps: StepEmbedding | None = None

    @property
    @abstractmethod
    def time_width(self) -> int:
        """Length of the time embedding, to which the vectors of steps are added."""

    @property
    def heads(self) -> Heads | None:
        """Its last layers, if it has one for each grid interval."""
        layer = None if self.last_layer is None else self.get_submodule(self.last_layer)
        return layer if isinstance(layer, Heads) else None

    def grow_heads(self, number: int) -> Heads:
        """Puts so many copies of the last layer in its place."""
        assert self.last_layer is not None, "the caller sees to it"
        layer: Any = self.get_submodule(self.last_layer)
        heads = Heads(layer, number, self.latent_channels)
        self.set_submodule(self.last_layer, heads, strict=True)
        return heads

    @property
    def latent_channels(self) -> int:
        """Values of one latent that it predicts; asked of networks with a `last_layer`."""
        raise NotImplementedError

    def drop_heads(self) -> None:
        """Leaves a plain network, whose last layer is the mean of the heads."""
        if (heads := self.heads) is not None and self.last_layer is not None:
            self.set_submodule(self.last_layer, heads.averaged(), strict=True)

    @contextlib.contextmanager
    def plain(self) -> Iterator[None]:
        """For a while without heads, to be stored."""
        heads = self.heads
        self.drop_heads()
        yield
        if heads is not None and self.last_layer is not None:
            self.set_submodule(self.last_layer, heads, strict=True)

    def embed_steps(self, horizons: Sequence[int]) -> StepEmbedding:
        """Makes room to learn steps over these shorter horizons; until then they are the network's own."""
        self.steps = StepEmbedding(horizons, self.time_width)
        return self.steps

    def at(self, horizon: int) -> Network:
        """The network for steps of `horizon` grid intervals, to sample on `grid.every(horizon)`.

        Raises:
            ValueError: it has not learnt them; the stage's own horizon is the network itself.
        """
        learnt = [] if self.steps is None else self.steps.horizons.tolist()
        if horizon not in learnt:
            raise ValueError(f"horizon={horizon} is not among the shorter ones that this network has learnt: {learnt}")
        return lambda latents, timesteps, text: self(latents, timesteps, text, torch.full_like(timesteps, horizon))


def save_steps(folder: Path, steps: StepEmbedding) -> None:
    """Writes the vectors of shorter steps beside a pipeline, which needs none for its own steps."""
    save_file(steps.state_dict(), folder / STEPS_FILE)


def load_steps(folder: Path, network: VideoNetwork) -> None:
    """Gives a network the vectors that lie in its folder, if any do."""
    if (folder / STEPS_FILE).is_file():
        check_files(folder, STEPS_FILE)
        saved = load_file(folder / STEPS_FILE)
        network.embed_steps(saved["horizons"].tolist()).load_state_dict(saved)


def load_heads(folder: Path, network: VideoNetwork) -> None:
    """Gives a network the last layers that lie in its folder, if any do."""
    if (folder / HEADS_FILE).is_file():
        check_files(folder, HEADS_FILE)
        saved = load_file(folder / HEADS_FILE)
        network.grow_heads(len(saved["weight"])).load_state_dict(saved)


def as_plain(network: VideoNetwork, grid: Grid, horizon: int) -> nn.Module:
    """The network as a plain one of this horizon's steps; itself if it has no heads."""
    return network if network.heads is None else Fused(network, grid, horizon)
