"""What a student is trained to predict: one file an objective, which `distill.objective` names.

The loop (gpd.distillation.trainer) and the costs (gpd.distillation.costs) call the object and name no objective. A new
one is a file here with an instance of a subclass of `Objective` as its OBJECTIVE, and its test; params.yaml accepts the
file's name.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from gpd.artifacts import UserError
from gpd.params import Distill, Params, StageParams

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gpd.distillation.stage import Stage
    from gpd.distillation.states import Batch, States
    from gpd.distillation.targets import Target
    from gpd.models.network import VideoNetwork


class Lesson(NamedTuple):
    """What a student predicts of a batch and what it should predict.

    Attributes:
        velocity, target: [B, C, F, H, W]; the prediction has a gradient.
        weight: of each sample in the loss, [B].
        end: where streamed states go on, [B, C, F, H, W].
    """

    velocity: "Tensor"
    target: "Tensor"
    weight: "Tensor"
    end: "Tensor"


class Probing(NamedTuple):
    """What a network predicts of whole steps, [B, C, F, H, W], and its square residual as the objective has it, [B]."""

    velocity: "Tensor"
    residual: "Tensor"


class Objective(ABC):
    """How a student is taught. Without state: all that is needed comes as arguments."""

    def excludes(self, distill: Distill) -> Iterator[str]:
        """What of the settings does not go together with it: key, value and what is wrong, each in one line."""
        yield from ()

    def prepare(self, student: "VideoNetwork", params: Params, name: str) -> None:
        """Gives the network that stage `name` begins with what it needs to learn; it is whole and on the CPU.

        Raises:
            UserError: it cannot be taught this way.
        """
        if student.heads is not None:
            stage = params.distill.stages[name]
            raise UserError(
                f"params.yaml: distill.stages.{name}.previous={stage.previous}: a student with heads; only objectives "
                "'parallel' and 'fold' begin with one"
            )

    @abstractmethod
    def starts(self, params: StageParams, num_steps: int, is_final: bool) -> "Tensor":
        """Indices of a grid of `num_steps` where a step may start; what is final: `gpd.params.Distill`."""

    def vary(self, stage: "Stage", states: "States") -> "States":
        """The states of a batch, with horizons of their own if the objective draws them."""
        return states

    @abstractmethod
    def asked(self, stage: "Stage", batch: "Batch") -> "dict[str, Tensor]":
        """What the student's forward is given beside latents, timesteps and text."""

    @abstractmethod
    def lesson(
        self, stage: "Stage", batch: "Batch", student: "Callable[..., Tensor]", average: "nn.Module | None"
    ) -> Lesson:
        """The student's prediction and its target; `average` is the student's moving average, if one is kept."""

    @abstractmethod
    def probed(self, stage: "Stage", batch: "Batch", network: Any, average: "nn.Module | None") -> Probing:
        """One evaluation of a network at the states, and one target."""

    @abstractmethod
    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """Network evaluations of one target by role: teacher, previous, student (its average, that is)."""


class StepObjective(Objective):
    """The student learns the mean velocity from a step's start to where it should end."""

    @abstractmethod
    def target(self, stage: "Stage", batch: "Batch", average: "nn.Module | None") -> "Target":
        """Where each sample's step shall end; `average` is the student's moving average, if one is kept."""

    def point(self, stage: "Stage", batch: "Batch", target: "Target") -> "tuple[Tensor, Tensor]":
        """Latents and grid indices [B] that the student is trained at: the start, unless the objective moves it."""
        return batch.states.latents, batch.states.grid_index

    def asked(self, stage: "Stage", batch: "Batch") -> "dict[str, Tensor]":
        """The horizons, if the student learns several."""
        return {"horizon": batch.states.horizon} if stage.distill.horizons else {}

    def lesson(
        self, stage: "Stage", batch: "Batch", student: "Callable[..., Tensor]", average: "nn.Module | None"
    ) -> Lesson:
        """Where the other networks bring the states, and what the student makes of that step."""
        target = self.target(stage, batch, average)
        latents, index = self.point(stage, batch, target)
        timesteps = stage.grid_on_device.timesteps[index]
        velocity = student(latents, timesteps, batch.text, **self.asked(stage, batch))
        return Lesson(velocity, target.velocity, batch.weight, target.end)

    def probed(self, stage: "Stage", batch: "Batch", network: Any, average: "nn.Module | None") -> Probing:
        """At the start of the stage's own step."""
        from gpd.distillation.losses import square_residual

        timesteps = stage.grid_on_device.timesteps[batch.states.grid_index]
        velocity = network(batch.states.latents, timesteps, batch.text)
        return Probing(velocity, square_residual(velocity, self.target(stage, batch, average).velocity))


def get_objective(name: str) -> Objective:
    """The objective of the file of this name."""
    objective: Objective = importlib.import_module(f"{__name__}.{name}").OBJECTIVE
    return objective


def objective_of(distill: Distill, params: StageParams) -> Objective:
    """The objective of a stage: its own if it names one, else that of all."""
    return get_objective(params.objective or distill.objective)


def check_objective(distill: Distill, where: str = "params.yaml") -> None:
    """Whether the stages' objectives go together with the other settings.

    Raises:
        UserError: one line for each mistake; `where` the settings stand.
    """
    names = dict.fromkeys(stage.objective or distill.objective for stage in distill.stages.values())
    mistakes = [mistake for name in names for mistake in get_objective(name).excludes(distill)]
    mistakes += [*shares_without_blocks(distill, names)]
    if mistakes:
        raise UserError("\n".join(f"{where}: {mistake}" for mistake in mistakes))


def shares_without_blocks(distill: Distill, objectives: Iterable[str]) -> Iterator[str]:
    """A mistake of settings in which no stage has blocks of which the teacher could walk a share."""
    share = distill.teacher_share
    if "parallel" not in objectives and (share.start, share.end) != (0.0, 0.0):
        yield (
            f"distill.teacher_share: start={share.start:g}, end={share.end:g} must be 0: no stage has objective "
            "'parallel', whose students walk the rest of a block"
        )


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


def own_targets_from_clips(distill: Distill, use: str) -> Iterator[str]:
    """Mistakes of those that also start from noised clips and need the student's average; `use` says what for."""
    yield from one_stage_of_own_targets(distill)
    key = f"distill.objective={distill.objective!r}"
    if distill.states.clips < 1:
        yield f"{key} starts from noised clips: distill.states.clips={distill.states.clips:g} must be 1"
    if distill.ema_decay == 0:
        yield f"{key} {use}: distill.ema_decay=0 must be above 0"


def stages_taught_by(distill: Distill, objective: str) -> Iterator[tuple[str, StageParams]]:
    """The stages of an objective, by name."""
    for name, stage in distill.stages.items():
        if (stage.objective or distill.objective) == objective:
            yield name, stage


def heads_learn_alone(distill: Distill, objective: str) -> Iterator[str]:
    """Mistakes of objectives with heads: they learn no factors, no stored ends, and have no tail."""
    key = f"distill.objective={objective!r}"
    if distill.states.rollouts > 0:
        yield f"{key} makes its own targets: distill.states.rollouts={distill.states.rollouts:g} must be 0"
    if distill.lora_rank > 0:
        yield f"{key} trains last layers, which have no factors: distill.lora_rank={distill.lora_rank} must be 0"
    if distill.horizons:
        yield f"{key} has one horizon: distill.horizons={distill.horizons} must be []"
    for name, stage in stages_taught_by(distill, objective):
        if stage.tail != stage.horizon:
            yield f"distill.stages.{name}.tail={stage.tail} must be {stage.horizon}: {objective!r} has no jump"
