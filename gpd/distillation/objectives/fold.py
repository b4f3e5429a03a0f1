"""A headed student as a plain network: it learns the fused velocity of its own step, so that plain pipelines sample it
(Shaul et al. 2026, arXiv 2607.26004, fuse heads for each step and stay with them)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.core.velocity import euler_step
from gpd.distillation.objectives import StepObjective, heads_learn_alone, stages_taught_by
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch
from gpd.distillation.states.starts import start_indices
from gpd.distillation.targets import Target
from gpd.models.network import VideoNetwork
from gpd.params import Distill, Params, StageParams


class Fold(StepObjective):
    """One forward of the headed student a target. The plain one begins as its backbone with the mean of its heads."""

    def excludes(self, distill: Distill) -> Iterator[str]:
        """A stage without heads before it, another step than theirs, and what heads exclude."""
        yield from heads_learn_alone(distill, "fold")
        names = list(distill.stages)
        for name, stage in stages_taught_by(distill, "fold"):
            place, key = names.index(name), f"distill.stages.{name}.objective='fold'"
            before = distill.stages[names[place - 1]] if place else None
            if before is None or (before.objective or distill.objective) != "parallel":
                yield f"{key}: the stage before it must be one of objective 'parallel', whose heads it folds"
            elif before.horizon != stage.horizon:
                yield f"{key}: its horizon={stage.horizon} must be {before.horizon}, that of the heads before it"

    def prepare(self, student: VideoNetwork, params: Params, name: str) -> None:
        """Leaves the mean of the heads."""
        if student.heads is None:
            previous = params.distill.stages[name].previous
            raise UserError(f"params.yaml: distill.stages.{name}.previous={previous}: has no heads to fold")
        student.drop_heads()

    def starts(self, params: StageParams, num_steps: int, is_final: bool) -> Tensor:
        """Wherever a step has room; in a final stage where inference starts."""
        return start_indices(num_steps, params.horizon, is_final)

    @torch.no_grad()
    def target(self, stage: Stage, batch: Batch, average: nn.Module | None) -> Target:
        """Where the headed student's own step ends."""
        states, grid, previous = batch.states, stage.grid_on_device, stage.previous_student(batch.text)
        assert previous is not None, "`forwards` counts it"
        index = states.grid_index
        velocity = previous(states.latents, grid.timesteps[index])
        end = euler_step(states.latents, velocity, grid.sigmas[index], grid.sigmas[index + stage.params.horizon])
        return Target(end, velocity)

    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """One of the headed student."""
        return {"previous": 1}


OBJECTIVE = Fold()
