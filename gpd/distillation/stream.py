"""Where training states come from: trajectories streamed through a pool, noised clip latents, stored roll-outs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gpd.core.sampler import seeded_noise
from gpd.core.schedule import Grid
from gpd.core.velocity import noisy_latent

GOLDEN_RATIO = 0.6180339887498949
CLIP_NOISE_SEED, ROLLOUT_SEED = 1, 2  # streams of randomness under one user seed, see `_rng`


class States(NamedTuple):
    """A batch to train on.

    Attributes:
        latents: x_i, [B, C, F, H, W].
        grid_index: i, [B] int64.
        prompt: number of each sample's text, [B] int64.
        slot: the pool's slot that each state came from, -1 for other sources, [B] int64.
        end: x_{i+k} where it is known from a stored roll-out, else zeros, [B, C, F, H, W].
        is_known: which of `end` are real, [B] bool.
    """

    latents: Tensor
    grid_index: Tensor
    prompt: Tensor
    slot: Tensor
    end: Tensor
    is_known: Tensor


def join_states(parts: list[States]) -> States:
    """One batch of several."""
    return States(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def nth_in_epochs(counter: int, length: int, seed: int) -> int:
    """Element `counter` of endless passes over range(length), each pass in an order of its own."""
    epoch, position = divmod(counter, length)
    return int(np.random.default_rng([seed, epoch]).permutation(length)[position])


def start_indices(num_steps: int, horizon: int, is_last: bool) -> Tensor:
    """Where a step of `horizon` may start: wherever there is room; in the last stage, where inference starts."""
    return torch.arange(0, num_steps - horizon + 1, horizon if is_last else 1)


def staggered(starts: Tensor, num_slots: int) -> Tensor:
    """Where a pool's first trajectories begin: `num_slots` of the start indices, spread over all of them."""
    return starts[torch.arange(num_slots) * len(starts) // num_slots]


class Pool:
    """Trajectories under way, one a slot, several times as many as a batch holds.

    A batch of neighbouring iterations then sees many prompts and noises at all noise levels; with one batch of
    trajectories it would see the same few for as long as they take (the measured difference is large: METHOD).

    Args:
        walk: (noise, prompts [n], ends [n]) -> latents at grid index `ends`, from pure noise at index 0.
    """

    def __init__(
        self,
        *,
        num_slots: int,
        latent_shape: tuple[int, ...],
        num_prompts: int,
        num_steps: int,
        horizon: int,
        is_last: bool,
        seed: int,
        rank: int,
        walk: Callable[[Tensor, Tensor, Tensor], Tensor],
    ) -> None:
        self.latent_shape, self.num_prompts = latent_shape, num_prompts
        self.num_steps, self.horizon, self.is_last = num_steps, horizon, is_last
        self.seed, self.rank, self.walk = seed, rank, walk
        self.latents = torch.zeros(num_slots, *latent_shape)
        self.index = torch.zeros(num_slots, dtype=torch.int64)
        self.prompt = torch.zeros(num_slots, dtype=torch.int64)
        self.num_started = 0
        self.num_taken = 0

    def fill(self, batch: int) -> None:
        """Starts every slot, at indices staggered over the grid, `batch` walks at a time."""
        starts = start_indices(self.num_steps, self.horizon, self.is_last)
        places = staggered(starts, len(self.index))
        for some in torch.arange(len(self.index)).split(batch):
            self.start(some, places[some])

    def take(self, batch: int) -> States:
        """The next `batch` slots, round robin over a fixed mixing of the slots."""
        num_slots = len(self.index)
        order = torch.from_numpy(np.random.default_rng(self.seed).permutation(num_slots))
        slots = order[torch.arange(self.num_taken, self.num_taken + batch) % num_slots]
        self.num_taken += batch
        latents = self.latents[slots]
        return States(
            latents,
            self.index[slots],
            self.prompt[slots],
            slots,
            torch.zeros_like(latents),
            torch.zeros(batch, dtype=torch.bool),
        )

    def advance(self, states: States, end: Tensor) -> None:
        """Moves the slots of `states` to `end`, one horizon on; the finished ones restart with new noise and prompt."""
        own = states.slot >= 0
        slots = states.slot[own]
        self.latents[slots] = end[own]
        self.index[slots] += self.horizon
        finished = slots[self.index[slots] > self.num_steps - self.horizon]
        if len(finished):
            self.start(finished, self._offsets(len(finished)))

    def _offsets(self, number: int) -> Tensor:
        """Where new trajectories begin: in 0..k-1, as horizons need not divide the grid; 0 in the last stage."""
        if self.is_last:
            return torch.zeros(number, dtype=torch.int64)
        rng = np.random.default_rng([self.seed, self.rank, self.num_started])
        return torch.from_numpy(rng.integers(0, self.horizon, number))

    def start(self, slots: Tensor, ends: Tensor) -> None:
        """New trajectories in `slots`, each walked to its grid index in `ends`."""
        counters = [self.num_started + offset for offset in range(len(slots))]
        self.num_started += len(slots)
        prompts = torch.tensor([nth_in_epochs(c, self.num_prompts, self.seed + self.rank) for c in counters])
        noise = torch.stack(
            [seeded_noise(self.latent_shape, seed=self.seed, index=self.rank * 2**30 + c) for c in counters]
        )
        self.latents[slots] = self.walk(noise, prompts, ends)
        self.index[slots], self.prompt[slots] = ends, prompts

    def state_dict(self) -> dict[str, Tensor]:
        """All that resuming needs."""
        counters = torch.tensor([self.num_started, self.num_taken])
        return {"latents": self.latents, "index": self.index, "prompt": self.prompt, "counters": counters}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The reverse of `state_dict`."""
        self.latents, self.index, self.prompt = state["latents"], state["index"], state["prompt"]
        self.num_started, self.num_taken = state["counters"].tolist()


def clip_states(
    clips: Sequence[tuple[Tensor, int]], starts: Tensor, grid: Grid, *, batch: int, counter: int, seed: int
) -> States:
    """Noised clip latents: no network evaluation at all.

    Args:
        clips: (clean latents [C, F, H, W], number of the caption's text).
        starts: indices to draw from.
        counter: samples drawn before; sample n depends on (seed, n) alone.
    """
    chosen = [clips[nth_in_epochs(counter + n, len(clips), seed)] for n in range(batch)]
    clean = torch.stack([latents for latents, _ in chosen])
    rng = np.random.default_rng([seed, CLIP_NOISE_SEED, counter])
    index = starts[torch.from_numpy(rng.integers(0, len(starts), batch))]
    noise = torch.stack(
        [seeded_noise(tuple(clean.shape[1:]), seed=seed, index=2**39 + counter + n) for n in range(batch)]
    )
    latents = noisy_latent(clean, noise, grid.sigmas[index])
    return _without_slots(latents, index, [prompt for _, prompt in chosen])


def rollout_states(
    rollouts: Sequence[tuple[Tensor, int]], starts: Tensor, horizon: int, *, batch: int, counter: int, seed: int
) -> States:
    """Points of stored teacher trajectories; their targets are the stored points one horizon on.

    Args:
        rollouts: (trajectory [N + 1, C, F, H, W], number of its text).
    """
    chosen = [rollouts[nth_in_epochs(counter + n, len(rollouts), seed)] for n in range(batch)]
    rng = np.random.default_rng([seed, ROLLOUT_SEED, counter])
    index = starts[torch.from_numpy(rng.integers(0, len(starts), batch))]
    at = index.tolist()
    states = _without_slots(
        torch.stack([trajectory[i] for (trajectory, _), i in zip(chosen, at, strict=True)]).float(),
        index,
        [prompt for _, prompt in chosen],
    )
    end = torch.stack([trajectory[i + horizon] for (trajectory, _), i in zip(chosen, at, strict=True)]).float()
    return states._replace(end=end, is_known=torch.ones(batch, dtype=torch.bool))


def _without_slots(latents: Tensor, index: Tensor, prompts: list[int]) -> States:
    batch = len(latents)
    return States(
        latents,
        index,
        torch.tensor(prompts, dtype=torch.int64),
        torch.full((batch,), -1, dtype=torch.int64),
        torch.zeros_like(latents),
        torch.zeros(batch, dtype=torch.bool),
    )


def split_batch(batch: int, shares: Sequence[float], counter: int) -> list[int]:
    """Samples of each source in the batch that begins at sample `counter`.

    Sample n belongs to the source in whose part of [0, 1) the n-th multiple of the golden ratio falls, so the shares
    hold over any stretch of samples, and for any size of batch, without a random number.
    """
    places = (np.arange(counter, counter + batch) * GOLDEN_RATIO) % 1.0
    sources = np.searchsorted(np.cumsum(shares)[:-1], places, side="right")
    return [int(count) for count in np.bincount(sources, minlength=len(shares))]
