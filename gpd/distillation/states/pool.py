"""Streamed states: after training on one state of a trajectory the next one is a horizon further on it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gpd.core.randomness import Stream, generator, integers_of, noise_of, nth_in_epochs
from gpd.distillation.copies import HostRows, send
from gpd.distillation.processes.share import Share
from gpd.distillation.states import States, make_states
from gpd.distillation.states.starts import staggered, start_indices

Walk = Callable[[Tensor, Tensor, Tensor], Tensor]  # (noise, prompts [n], ends [n]) -> latents at grid indices `ends`


class Steps(NamedTuple):
    """Steps of one length on the base grid: of `horizon` intervals each, on a grid of `num_steps`."""

    num_steps: int
    horizon: int
    is_final: bool  # whether they start where inference by such steps does


class New(NamedTuple):
    """Trajectories that begin: their numbers, prompts and first grid indices, each [n] int64."""

    numbers: Tensor
    prompts: Tensor
    ends: Tensor


class Pool:
    """Trajectories under way, one a slot, several times as many as a batch takes.

    A batch of neighbouring iterations then sees many prompts and noises at all noise levels; with one batch of
    trajectories it would see the same few for as long as they take (the measured difference is large: docs/method.md).

    Every process keeps all slots in host memory. Each moves those of its own samples, and they exchange where these
    got to, so that all pools are the same one, which any number of processes can take over.

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
        share: Share,
    ) -> None:
        self.latent_shape, self.num_prompts, self.steps, self.walk = latent_shape, num_prompts, steps, walk
        self.seed, self.share = seed, share
        self.latents = HostRows(torch.zeros(num_slots, *latent_shape))
        self.index = torch.zeros(num_slots, dtype=torch.int64)
        self.prompt = torch.zeros(num_slots, dtype=torch.int64)
        self.num_started = 0
        self.num_taken = 0
        self.taken = torch.zeros(0, dtype=torch.int64)  # slots that are trained on, by all processes

    def fill(self, at_once: int) -> Tensor:
        """Starts every slot, at indices staggered over the grid; returns these indices.

        Args:
            at_once: walks that each process does at a time.
        """
        places = staggered(start_indices(*self.steps), len(self.index))
        for some in torch.arange(len(self.index)).split(at_once * self.share.number):
            self.start(some, places[some])
        return places

    def take(self, number: int) -> States:
        """This process' part of the next `number` slots, round robin over a fixed mixing of the slots."""
        num_slots = len(self.index)
        order = torch.from_numpy(generator(self.seed, Stream.SLOT_ORDER).permutation(num_slots))
        self.taken = order[torch.arange(self.num_taken, self.num_taken + number) % num_slots]
        self.num_taken += number
        own = self.share.own(self.taken)
        states = make_states(self.latents.read(own), self.index[own], self.steps.horizon, self.prompt[own])
        return states._replace(slot=own)

    def advance(self, states: States, end: Tensor) -> Tensor:
        """Moves the slots that were taken one horizon on; the finished ones restart with new noise and prompt.

        Args:
            states: of this process, with those that `take` gave among them.
            end: where these got to, on the device.

        Returns:
            The grid indices that the new trajectories of all processes begin at, [n].
        """
        if not len(self.taken):
            return self._offsets(0)
        self.index[self.taken] += self.steps.horizon
        is_finished = self.index[self.taken] > self.steps.num_steps - self.steps.horizon
        finished = self.taken[is_finished]
        offsets = self._offsets(len(finished))
        new = self._enter(finished, offsets)
        moved, own = end[: int((states.slot >= 0).sum())], self.share.own(is_finished)
        if own.any():
            moved = moved.clone()
            rows = self.share.own(is_finished.cumsum(0) - 1)[own]  # among all that are new
            moved[send(own.nonzero()[:, 0], moved.device)] = self._walked(New(*(column[rows] for column in new)))
        self.latents.write(self.taken, self.share.together(moved, len(self.taken)))
        return offsets

    def _offsets(self, number: int) -> Tensor:
        """Where new trajectories begin: in 0..k-1, as horizons need not divide the grid; 0 in a final stage."""
        if self.steps.is_final:
            return torch.zeros(number, dtype=torch.int64)
        numbers = range(self.num_started, self.num_started + number)
        return integers_of(self.steps.horizon, self.seed, Stream.TRAJECTORY_OFFSET, numbers)

    def start(self, slots: Tensor, ends: Tensor) -> None:
        """New trajectories in `slots`, each walked to its grid index in `ends`; every process walks its part."""
        new = self._enter(slots, ends)
        own = self._walked(New(*map(self.share.own, new)))
        self.latents.write(slots, self.share.together(own, len(slots)))

    def _enter(self, slots: Tensor, ends: Tensor) -> New:
        """Gives new trajectories their slots, numbers and prompts; their latents are yet to come."""
        numbers = range(self.num_started, self.num_started + len(slots))
        self.num_started += len(slots)
        stream = Stream.TRAJECTORY_PROMPT
        prompts = [nth_in_epochs(n, self.num_prompts, seed=self.seed, stream=stream) for n in numbers]
        new = New(torch.tensor(numbers, dtype=torch.int64), torch.tensor(prompts, dtype=torch.int64), ends)
        self.index[slots], self.prompt[slots] = ends, new.prompts
        return new

    def _walked(self, new: New) -> Tensor:
        """Latents where new trajectories begin."""
        noise = [noise_of(self.latent_shape, self.seed, Stream.TRAJECTORY_NOISE, n) for n in new.numbers.tolist()]
        return self.walk(torch.stack(noise), new.prompts, new.ends) if noise else torch.zeros(0, *self.latent_shape)

    def state_dict(self) -> dict[str, Tensor]:
        """All that resuming needs, on however many processes."""
        counters = torch.tensor([self.num_started, self.num_taken])
        return {"latents": self.latents.all(), "index": self.index, "prompt": self.prompt, "counters": counters}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The reverse of `state_dict`."""
        self.latents, self.index, self.prompt = HostRows(state["latents"]), state["index"], state["prompt"]
        self.num_started, self.num_taken = state["counters"].tolist()
