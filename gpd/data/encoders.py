"""What goes into a shard: embeddings of texts, latents of clips, roll-outs of the guided teacher.

What is computed at once follows from the rows alone, so that the bytes do not depend on who does the job.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.core.sampler import sample
from gpd.core.schedule import make_grid
from gpd.core.velocity import stack_text
from gpd.data.clips import BrokenClipError, load_windows
from gpd.data.numbers import MAX_EMBEDDING, MAX_LATENT, check_numbers, reason_against
from gpd.data.plan import Rollout
from gpd.data.rows import CLIP_ROWS, PROMPTS, Clip, Prompt
from gpd.data.shards import Entry
from gpd.documents import BrokenClip
from gpd.models.families import open_model
from gpd.params import Params

BATCH_VALUES, MAX_BATCH = 2_000_000, 8  # latent values and clips at once: one clip of 480 x 832, 8 of the miniature

R = TypeVar("R")


class Encoder(ABC, Generic[R]):
    """Makes the samples of one kind of shard; its networks are loaded once, for all shards of the kind, and there is
    one on the device at a time.

    Args:
        rows: all that it will be given to encode.

    Attributes:
        shape: [C, F, H, W] of a clip's latents.
    """

    def __init__(self, params: Params, device: str, rows: Sequence[R]) -> None:
        self.params, self.device = params, device
        self.base = open_model(params.model.path)
        model = params.model
        self.shape = self.base.geometry.latent_shape(model.num_frames, model.height, model.width)

    @abstractmethod
    def encode(self, rows: Sequence[R]) -> Iterator[Entry | BrokenClip]:
        """A sample for each row, or what is wrong with its clip."""

    def batches(self, rows: Sequence[R]) -> Iterator[Sequence[R]]:
        """So many rows at a time as go through a network at once."""
        size = batch_size(self.shape)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def stored(self, tensor: Tensor) -> np.ndarray:
        """The array that is written; what is too large for its type is infinity there."""
        with np.errstate(over="ignore"):
            return tensor.float().numpy().astype(self.params.encode.latent_dtype)

    def checked(self, tensor: Tensor, name: str, largest: float = MAX_LATENT) -> np.ndarray:
        """The same; a UserError if its numbers cannot be right."""
        array = self.stored(tensor)
        check_numbers(array, f"{self.params.model.path}: {name}", largest)
        return array


class EncodeTexts(Encoder[Prompt]):
    """Embeddings [L, D] at their real length. One text a call: an embedding depends on its own text alone."""

    def __init__(self, params: Params, device: str, rows: Sequence[Prompt]) -> None:
        super().__init__(params, device, rows)
        self.texts = self.base.load_text_encoder(device, params.model.dtype)

    def encode(self, rows: Sequence[Prompt]) -> Iterator[Entry]:
        """Every text gives a sample."""
        for row in rows:
            embedding = self.checked(self.texts.encode([row.text])[0], f"the embedding of {row.id}", MAX_EMBEDDING)
            yield row.id, {"embedding.npy": embedding, "text.json": {"text": row.text, "split": row.split}}


@dataclass(frozen=True)
class Window:
    """Consecutive frames of a clip, [F, H, W, 3] uint8, that become one entry."""

    clip: Clip
    number: int
    frames: np.ndarray

    @property
    def id(self) -> str:
        """Its key in the shard: of the first the clip's own, however many there are."""
        return f"{self.clip.id}-{self.number}" if self.number else self.clip.id


class EncodeClips(Encoder[Clip]):
    """Normalised latents [C, F, H, W] of clips read by the rules of `gpd.data.clips`."""

    def __init__(self, params: Params, device: str, rows: Sequence[Clip]) -> None:
        super().__init__(params, device, rows)
        self.codec = self.base.load_codec(device)

    def encode(self, rows: Sequence[Clip]) -> Iterator[Entry | BrokenClip]:
        """A batch is made of those of its clips that can be read; of long clips there may be several windows."""
        size = batch_size(self.shape)
        for batch in self.batches(rows):
            waiting: list[Window] = []
            for row in batch:
                try:
                    for window in read_windows(row, self.params):
                        waiting.append(window)
                        if len(waiting) == size:
                            yield from self._encode_batch(waiting)
                            waiting = []
                except BrokenClipError as error:
                    yield BrokenClip(file=row.file, reason=str(error))
            if waiting:
                yield from self._encode_batch(waiting)

    def _encode_batch(self, windows: list[Window]) -> Iterator[Entry | BrokenClip]:
        generators = [seeded_generator(self.params.encode.seed, window.id) for window in windows]
        frames = np.stack([window.frames for window in windows])
        latents = self.codec.encode(frames, self.params.encode.posterior, generators)
        for window, latent in zip(windows, latents, strict=True):
            array = self.stored(latent)
            if reason := reason_against(array):
                yield BrokenClip(file=window.clip.file, reason=f"its latent {reason}")
            else:
                yield window.id, {"latents.npy": array, "text.json": {"id": window.clip.text}}


class EncodeRollouts(Encoder[Rollout]):
    """Trajectories [N + 1, C, F, H, W] of the guided teacher; noise depends on seed and index alone.

    All texts are embedded first, and the text encoder is gone when the teacher comes.
    """

    def __init__(self, params: Params, device: str, rows: Sequence[Rollout]) -> None:
        super().__init__(params, device, rows)
        model, encoder = params.model, self.base.load_text_encoder(device, params.model.dtype)
        texts = dict.fromkeys([model.negative_prompt, *(row.prompt.text for row in rows)])
        self.texts = {text: encoder.encode([text])[0] for text in texts}
        del encoder
        self.network = self.base.load_network(device, merge_padding=model.merge_padding, dtype=model.dtype)

    def encode(self, rows: Sequence[Rollout]) -> Iterator[Entry]:
        """Every row gives a sample."""
        for batch in self.batches(rows):
            for row, trajectory in zip(batch, self._roll_out(batch), strict=True):
                array = self.checked(trajectory, f"the roll-out {row.id}")
                yield row.id, {"trajectory.npy": array, "text.json": {"id": row.prompt.id}}

    def _roll_out(self, rows: Sequence[Rollout]) -> Tensor:
        """[B, N + 1, C, F, H, W]."""
        embeddings = [self.texts[row.prompt.text] for row in rows]
        noise = [seeded_noise(self.shape, seed=self.params.encode.seed, index=row.index) for row in rows]
        trajectory = sample(
            self.network,
            torch.stack(noise).to(self.device),
            stack_text(embeddings).to(self.device),
            make_grid(self.params.model.grid_steps, self.params.model.shift),
            negative=self.texts[self.params.model.negative_prompt][None].to(self.device),
            guidance_scale=self.params.encode.rollouts.guidance_scale,
        )
        return torch.stack([latents.cpu() for latents in trajectory], 1)


def forwards_per_rollout(params: Params) -> int:
    """Guidance takes two forwards a step."""
    return params.model.grid_steps * (1 if params.encode.rollouts.guidance_scale == 1.0 else 2)


def batch_size(latent_shape: tuple[int, ...]) -> int:
    """How many clips go through a network at once; follows from their size alone, so that bytes do not vary."""
    return min(MAX_BATCH, max(1, BATCH_VALUES // math.prod(latent_shape)))


def read_windows(clip: Clip, params: Params) -> Iterator[Window]:
    """What is taken of a clip: up to encode.windows_per_clip windows of one for training, the middle of one held out,
    so that the protocol of an evaluation does not depend on how long its clips are.

    Raises:
        UserError: the file is gone or has changed since `prepare`.
        BrokenClipError: it cannot be read.
    """
    path = Path(params.prepare.source) / clip.file
    if not path.is_file() or artifacts.hash_file(path) != clip.sha256:
        state = "has changed" if path.is_file() else "is gone"
        raise UserError(f"{path}: {state} since {PROMPTS}/{CLIP_ROWS} was written; run `gpd prepare` again")
    windows = load_windows(
        path,
        frames_per_second=params.encode.frames_per_second,
        num_frames=params.model.num_frames,
        height=params.model.height,
        width=params.model.width,
        most=params.encode.windows_per_clip if clip.split == "train" else 1,
    )
    for number, frames in enumerate(windows):
        yield Window(clip, number, frames)


def seeded_generator(seed: int, clip_id: str) -> Any:
    """Of a sampled posterior: depends on seed and clip alone."""
    return torch.Generator().manual_seed(int(artifacts.hash_json([seed, clip_id])[:15], 16))
