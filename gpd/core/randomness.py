"""Randomness without history: what is drawn depends on (seed, stream, index) alone, never on what was drawn before.

So a stage that was interrupted, or has other processes, or loses a source of states, draws the same for all else. Each
use has a stream of its own, so that no two of them ever see the same numbers under one seed.
"""

import functools
from collections.abc import Iterable
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor


class Stream(IntEnum):
    """What is drawn. The numbers are part of every result: never renumber, only add."""

    STAGE = 1  # the seed of a distillation stage, by its horizon
    POOL = 2  # the seed of a stage's trajectories
    PROBE = 3  # the seed of the states that students are probed on; equal for all stages
    TRAJECTORY_PROMPT = 4  # the order in which trajectories take the prompts
    TRAJECTORY_NOISE = 5  # where trajectories begin, by their number
    TRAJECTORY_OFFSET = 6  # the grid index they begin at
    SLOT_ORDER = 7  # the fixed mixing of a pool's slots
    CLIP = 8  # the order in which clips are trained on
    CLIP_NOISE = 9  # the noise on a clip, by the sample's number
    CLIP_START = 10  # the noise level of a clip
    ROLLOUT = 11  # the order in which stored roll-outs are trained on
    ROLLOUT_START = 12  # the point of a stored roll-out
    CHORD = 13  # the point of a step's straight line that the student is trained at
    ADAPTER = 14  # the first low-rank factors
    INCREMENT = 15  # the interval of a block that heads are corrected at
    FLOW_HORIZON = 16  # how long the step is that a flow map is taught
    STRIP = 32  # where the samples that show how a student learns begin, by their number


def seeded_noise(shape: tuple[int, ...], *, seed: int, index: int) -> Tensor:
    """Standard normal noise of a sample, the `index`-th under a seed; float32 on the CPU.

    Reference, students and baselines sample from these, so the values stay what they are for good.
    """
    # numpy, as torch's CPU generator keeps only 32 bits of its seed: other (seed, index) pairs would give equal noise
    return _normal(np.random.default_rng([seed, index]), shape)


def generator(seed: int, stream: Stream, *index: int) -> np.random.Generator:
    """A fresh generator of a stream. Of one stream all indices have the same length: numpy takes [3] for [3, 0]."""
    return np.random.default_rng(np.random.SeedSequence([seed, *index], spawn_key=(stream,)))


def seed_of(seed: int, stream: Stream, *index: int) -> int:
    """A seed of its own for a part of the work, in [0, 2^63)."""
    return int(generator(seed, stream, *index).integers(2**63))


def noise_of(shape: tuple[int, ...], seed: int, stream: Stream, *index: int) -> Tensor:
    """Standard normal noise of a stream; float32 on the CPU."""
    return _normal(generator(seed, stream, *index), shape)


def integers_of(high: int, seed: int, stream: Stream, numbers: Iterable[int]) -> Tensor:
    """One integer in 0 .. high-1 for each number, [n] int64: the same however the numbers are cut into batches."""
    return torch.tensor([int(generator(seed, stream, n).integers(high)) for n in numbers], dtype=torch.int64)


def nth_in_epochs(counter: int, length: int, *, seed: int, stream: Stream) -> int:
    """Element `counter` of endless passes over range(length), each pass in an order of its own."""
    epoch, position = divmod(counter, length)
    return int(_epoch_order(length, seed, stream, epoch)[position])


@functools.lru_cache(maxsize=8)  # a batch may see the end of one epoch and the start of the next, of each source
def _epoch_order(length: int, seed: int, stream: Stream, epoch: int) -> np.ndarray:
    return generator(seed, stream, epoch).permutation(length)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
