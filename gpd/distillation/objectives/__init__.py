"""What a student is trained to predict: one file an objective, which `distill.objective` names.

The loop (gpd.distillation.trainer) and the costs (gpd.distillation.costs) call the object and name no objective. A new
one is a file here with an instance of a subclass of `Objective` as its OBJECTIVE, and its test; params.yaml accepts the
file's name.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gpd.artifacts import UserError
from gpd.params import Distill, StageParams

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gpd.distillation.stage import Stage
    from gpd.distillation.states import Batch
    from gpd.distillation.targets import Target


class Objective(ABC):
    """How a step's target is made. Without state: all that is needed comes as arguments."""

    def excludes(self, distill: Distill) -> Iterator[str]:
        """What of the settings does not go together with it: key, value and what is wrong, each in one line."""
        yield from ()

    @abstractmethod
    def starts(self, params: StageParams, num_steps: int, is_final: bool) -> "Tensor":
        """Indices of a grid of `num_steps` where a step may start; what is final: `gpd.params.Distill`."""

    @abstractmethod
    def target(self, stage: "Stage", batch: "Batch", average: "nn.Module | None") -> "Target":
        """Where each sample's step shall end; `average` is the student's moving average, if one is kept."""

    def point(self, stage: "Stage", batch: "Batch", target: "Target") -> tuple["Tensor", "Tensor"]:
        """Latents and grid indices [B] that the student is trained at: the start, unless the objective moves it."""
        return batch.states.latents, batch.states.grid_index

    @abstractmethod
    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """Network evaluations of one target by role: teacher, previous, student (its average, that is)."""


def get_objective(name: str) -> Objective:
    """The objective of the file of this name."""
    objective: Objective = importlib.import_module(f"{__name__}.{name}").OBJECTIVE
    return objective


def check_objective(distill: Distill, where: str = "params.yaml") -> None:
    """Whether the objective goes together with the other settings.

    Raises:
        UserError: one line for each mistake; `where` the settings stand.
    """
    mistakes = list(get_objective(distill.objective).excludes(distill))
    if mistakes:
        raise UserError("\n".join(f"{where}: {mistake}" for mistake in mistakes))


def first_stage_without_jump(distill: Distill) -> Iterator[str]:
    """A mistake of objectives that jump: the first stage has nothing to jump with."""
    name, stage = next(iter(distill.stages.items()))
    if stage.tail != stage.horizon:
        yield (
            f"distill.stages.{name}.tail={stage.tail} must be {stage.horizon}: "
            "the first stage has no previous student to jump"
        )


def one_stage_of_own_targets(distill: Distill) -> Iterator[str]:
    """Mistakes of objectives that train one stage, at one horizon, on no stored end points."""
    key = f"distill.objective={distill.objective!r}"
    if len(distill.stages) > 1:
        yield f"{key} has no hand-over: distill.stages must hold one stage, not {len(distill.stages)}"
    if distill.states.rollouts > 0:
        yield f"{key} makes its own targets: distill.states.rollouts={distill.states.rollouts:g} must be 0"
    if distill.horizons:
        yield f"{key} has one horizon: distill.horizons={distill.horizons} must be []"
