"""Training states, and their two sources that do not stream, clips and roll-outs; the third is `states.pool`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gpd.core.randomness import Stream, integers_of, noise_of, nth_in_epochs
from gpd.core.schedule import Grid
from gpd.core.velocity import noisy_latent
from gpd.distillation.copies import send

GOLDEN_RATIO = 0.6180339887498949


class States(NamedTuple):
    """Where steps start.

    Attributes:
        latents: x_i, [B, C, F, H, W].
        grid_index: i, [B] int64.
        horizon: k, grid intervals of each sample's step, [B] int64.
        prompt: number of each sample's text, [B] int64.
        number: of each sample among all of the stage; what is drawn for it depends on it alone, [B] int64.
        slot: the pool's slot that each state came from, -1 for other sources, [B] int64.
        end: x_{i+k} if it is stored in a roll-out, else zeros, [B, C, F, H, W].
        is_known: which of `end` are real, [B] bool.
    """

    latents: Tensor
    grid_index: Tensor
    horizon: Tensor
    prompt: Tensor
    number: Tensor
    slot: Tensor
    end: Tensor
    is_known: Tensor

    def to(self, device: torch.device) -> "States":
        """The same on a device."""
        return States(*(send(column, device) for column in self))

    def rows(self, some: slice) -> "States":
        """Some of the samples."""
        return States(*(column[some] for column in self))


@dataclass(frozen=True)
class Batch:
    """States on the device of the networks, and what goes with them.

    Attributes:
        numbers: of the samples, on the host.
        to_make: horizon -> rows of the samples at it whose end is not stored, [n] int64.
        text: [B, L, D].
        guidance_scale: the teacher's, [B].
        weight: of each sample in the loss, [B].
        progress: the share of the stage's iterations that are done.
    """

    numbers: list[int]
    states: States
    to_make: dict[int, Tensor]
    text: Tensor
    guidance_scale: Tensor
    weight: Tensor
    progress: float


def make_states(latents: Tensor, index: Tensor, horizon: int, prompts: Tensor) -> States:
    """States of no slot, whose ends are yet to be computed."""
    batch = len(latents)
    return States(
        latents=latents,
        grid_index=index,
        horizon=torch.full((batch,), horizon, dtype=torch.int64),
        prompt=prompts,
        number=torch.arange(batch),
        slot=torch.full((batch,), -1, dtype=torch.int64),
        end=torch.zeros_like(latents),
        is_known=torch.zeros(batch, dtype=torch.bool),
    )


def join_states(parts: list[States]) -> States:
    """One batch of several."""
    return States(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def clip_states(
    clips: Sequence[tuple[Tensor, int]],
    starts: Tensor,
    horizon: int,
    grid: Grid,
    numbers: Sequence[int],
    *,
    seed: int,
) -> States:
    """Noised clip latents: no network evaluation at all.

    Args:
        clips: (clean latents [C, F, H, W], number of the caption's text).
        starts: indices to draw from.
        numbers: of the samples; sample n depends on (seed, n) alone.
    """
    chosen = [clips[nth_in_epochs(n, len(clips), seed=seed, stream=Stream.CLIP)] for n in numbers]
    clean = torch.stack([latents for latents, _ in chosen])
    index = starts[integers_of(len(starts), seed, Stream.CLIP_START, numbers)]
    noise = torch.stack([noise_of(tuple(clean.shape[1:]), seed, Stream.CLIP_NOISE, n) for n in numbers])
    latents = noisy_latent(clean, noise, grid.sigmas[index])
    return make_states(latents, index, horizon, torch.tensor([prompt for _, prompt in chosen]))


def rollout_states(
    rollouts: Sequence[tuple[Tensor, int]], starts: Tensor, horizon: int, numbers: Sequence[int], *, seed: int
) -> States:
    """Points of stored teacher trajectories; their targets are the stored points one horizon on.

    Args:
        rollouts: (trajectory [N + 1, C, F, H, W], number of its text).
    """
    chosen = [rollouts[nth_in_epochs(n, len(rollouts), seed=seed, stream=Stream.ROLLOUT)] for n in numbers]
    index = starts[integers_of(len(starts), seed, Stream.ROLLOUT_START, numbers)]
    latents, end = (
        torch.stack([trajectory[i] for (trajectory, _), i in zip(chosen, at.tolist(), strict=True)]).float()
        for at in (index, index + horizon)
    )
    states = make_states(latents, index, horizon, torch.tensor([prompt for _, prompt in chosen]))
    return states._replace(end=end, is_known=torch.ones(len(numbers), dtype=torch.bool))


def split_batch(batch: int, shares: Sequence[float], counter: int) -> list[int]:
    """Samples of each source in the batch that begins at sample `counter`.

    The fractional parts of n g, g = .618.. the golden ratio, n = 0, 1, 2, .., fill [0, 1) more evenly than any other
    multiples do: each falls into one of the widest gaps that the earlier ones have left. Cut [0, 1) into pieces as long
    as the shares, and let sample n belong to the source in whose piece its point lies:

        shares .75 .25:   n = 0 .000 -> 1st   1 .618 -> 1st   2 .236 -> 1st   3 .854 -> 2nd   4 .472 -> 1st  ..

    Over every stretch of samples the shares are then right to about one sample, for any batch size, and by no random
    number.
    """
    places = (np.arange(counter, counter + batch) * GOLDEN_RATIO) % 1.0
    sources = np.searchsorted(np.cumsum(shares)[:-1], places, side="right")
    return [int(count) for count in np.bincount(sources, minlength=len(shares))]
