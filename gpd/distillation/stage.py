"""A distillation stage as the trainer sees it: params, networks and data, none of which change in training but the
student's weights."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from gpd.core.randomness import Stream, seed_of
from gpd.core.schedule import Grid
from gpd.core.velocity import Velocity, guided, guided_by, stack_text, unguided
from gpd.distillation.copies import send
from gpd.distillation.processes.share import CPU
from gpd.models.skipping import Skipping
from gpd.params import Distill, StageParams

Stored = tuple[Tensor, int]  # a clip's latents or a stored trajectory, and the number of its text


@dataclass(frozen=True)
class Stage:
    """Everything a stage trains with. Networks are on `device`; data stays on the CPU.

    Attributes:
        mesh: of the processes that the networks are cut over; the frozen ones are cut already, the student is not yet.
        strip_prompts: held-out prompts whose samples are kept on the way: the numbers of their texts by id.
    """

    name: str
    params: StageParams
    distill: Distill
    grid: Grid
    latent_shape: tuple[int, ...]
    student: nn.Module
    teacher: nn.Module
    previous: nn.Module | None
    previous_horizon: int
    texts: Sequence[Tensor]  # [L_i, D] each; the first `num_prompts` are those that trajectories stream from
    num_prompts: int
    negative: Tensor  # [L, D]
    clips: Sequence[Stored]
    rollouts: Sequence[Stored]
    work: Path  # train states
    device: torch.device = CPU
    mesh: DeviceMesh | None = None
    strip_prompts: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether this stage's student is final: see `gpd.params.Distill`."""
        return self.params.horizon >= self._final_horizon

    @property
    def share_of_curriculum(self) -> float:
        """0 at horizon 1, 1 from the first final one on; no other stage enters: editing one leaves the rest valid."""
        return min(1.0, (self.params.horizon - 1) / max(1, self._final_horizon - 1))

    @property
    def _final_horizon(self) -> int:
        return self.grid.num_steps // self.distill.final_steps

    @property
    def seed(self) -> int:
        """Of all that the stage draws; stages draw different noise."""
        return stage_seed(self.distill, self.params)

    def text_of(self, prompts: Tensor) -> Tensor:
        """Texts [B, L, D] of their numbers [B], zero-padded."""
        return send(stack_text([self.texts[prompt] for prompt in prompts.tolist()]), self.device)

    @functools.cached_property
    def grid_on_device(self) -> Grid:
        """The grid where the networks are."""
        return Grid(self.grid.sigmas.to(self.device), self.grid.timesteps.to(self.device))

    @functools.cached_property
    def negative_on_device(self) -> Tensor:
        """The negative prompt where the networks are, [1, L, D]."""
        return self.negative[None].to(self.device)

    def guided_teacher(self, text: Tensor, scale: Tensor) -> Velocity:
        """The teacher's field under guidance, for texts [B, L, D] and scales [B]: two forwards a sample."""
        if self.weak_teacher is not None:
            return guided_by(self.teacher, self.weak_teacher, text, self.negative_on_device, scale)
        return guided(self.teacher, text, self.negative_on_device, scale)

    @functools.cached_property
    def weak_teacher(self) -> nn.Module | None:
        """The teacher with a block left out, on the negative prompt; None if that has the whole teacher, too."""
        number = self.distill.guidance.skip_block
        return None if number is None else Skipping(self.teacher, number)

    def previous_student(self, text: Tensor) -> Velocity | None:
        """The field of the student that this one begins as; None if no target needs it."""
        return None if self.previous is None else unguided(self.previous, text)


def stage_seed(distill: Distill, params: StageParams) -> int:
    """Of all that a stage draws."""
    return seed_of(distill.seed, Stream.STAGE, params.horizon)
