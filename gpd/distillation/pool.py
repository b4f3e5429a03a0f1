"""Streamed states: after training on one state of a trajectory the next one is a horizon further on it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gpd.core.randomness import Stream, generator, integers_of, noise_of, nth_in_epochs
from gpd.distillation.starts import staggered, start_indices
from gpd.distillation.states import States, make_states

Walk = Callable[[Tensor, Tensor, Tensor], Tensor]  # (noise, prompts [n], ends [n]) -> latents at grid indices `ends`


class Steps(NamedTuple):
    """Steps of one length on the base grid: of `horizon` intervals each, on a grid of `num_steps`."""

    num_steps: int
    horizon: int
    is_last: bool  # whether they start where inference by such steps does


class Pool:
    """Trajectories under way, one a slot, several times as many as a batch takes.

    A batch of neighbouring iterations then sees many prompts and noises at all noise levels; with one batch of
    trajectories it would see the same few for as long as they take (the measured difference is large: docs/method.md).

    Args:
        latent_shape: C, F, H, W.
        walk: brings pure noise to where a trajectory begins.
    """

    def __init__(
        self,
        num_slots: int,
        latent_shape: tuple[int, ...],
        num_prompts: int,
        steps: Steps,
        walk: Walk,
        *,
        seed: int,
    ) -> None:
        self.latent_shape, self.num_prompts, self.steps, self.walk = latent_shape, num_prompts, steps, walk
        self.seed = seed
        self.latents = torch.zeros(num_slots, *latent_shape)
        self.index = torch.zeros(num_slots, dtype=torch.int64)
        self.prompt = torch.zeros(num_slots, dtype=torch.int64)
        self.num_started = 0
        self.num_taken = 0

    def fill(self, batch: int) -> Tensor:
        """Starts every slot, at indices staggered over the grid, `batch` walks at a time; returns these indices."""
        places = staggered(start_indices(*self.steps), len(self.index))
        for some in torch.arange(len(self.index)).split(batch):
            self.start(some, places[some])
        return places

    def take(self, batch: int) -> States:
        """The next `batch` slots, round robin over a fixed mixing of the slots."""
        num_slots = len(self.index)
        order = torch.from_numpy(generator(self.seed, Stream.SLOT_ORDER).permutation(num_slots))
        slots = order[torch.arange(self.num_taken, self.num_taken + batch) % num_slots]
        self.num_taken += batch
        states = make_states(self.latents[slots], self.index[slots], self.steps.horizon, self.prompt[slots])
        return states._replace(slot=slots)

    def advance(self, states: States, end: Tensor) -> Tensor:
        """Moves the slots of `states` to `end`, one horizon on; the finished ones restart with new noise and prompt.

        Returns:
            The grid indices that the new trajectories begin at, [n].
        """
        own = states.slot >= 0
        slots = states.slot[own]
        self.latents[slots] = end[own]
        self.index[slots] += self.steps.horizon
        finished = slots[self.index[slots] > self.steps.num_steps - self.steps.horizon]
        offsets = self._offsets(len(finished))
        if len(finished):
            self.start(finished, offsets)
        return offsets

    def _offsets(self, number: int) -> Tensor:
        """Where new trajectories begin: in 0..k-1, as horizons need not divide the grid; 0 in the last stage."""
        if self.steps.is_last:
            return torch.zeros(number, dtype=torch.int64)
        numbers = range(self.num_started, self.num_started + number)
        return integers_of(self.steps.horizon, self.seed, Stream.TRAJECTORY_OFFSET, numbers)

    def start(self, slots: Tensor, ends: Tensor) -> None:
        """New trajectories in `slots`, each walked to its grid index in `ends`."""
        numbers = range(self.num_started, self.num_started + len(slots))
        self.num_started += len(slots)
        stream = Stream.TRAJECTORY_PROMPT
        prompts = torch.tensor([nth_in_epochs(n, self.num_prompts, seed=self.seed, stream=stream) for n in numbers])
        noise = torch.stack([noise_of(self.latent_shape, self.seed, Stream.TRAJECTORY_NOISE, n) for n in numbers])
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
