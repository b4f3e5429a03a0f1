"""Guided progressive distillation (Liang et al. 2026, arXiv 2602.01814): a jump of the previous student, then a tail
of the guided teacher; one student may learn shorter horizons beside its own."""

from collections.abc import Iterator

from torch import Tensor, nn

from gpd.core.velocity import mean_velocity
from gpd.distillation.objectives import StepObjective, first_stage_without_jump
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch
from gpd.distillation.states.starts import start_indices
from gpd.distillation.targets import Route, Target, make_target
from gpd.models.network import VideoNetwork
from gpd.params import Distill, Params, StageParams


def route_of(distill: Distill, params: StageParams, previous_horizon: int) -> Route:
    """The way of a target under these settings."""
    walk = distill.teacher_walk
    return Route(params.horizon, params.tail, previous_horizon, walk.stride, walk.solver)


class Gpd(StepObjective):
    """See above; the formulas are in `gpd.distillation.targets.make_target`."""

    def excludes(self, distill: Distill) -> Iterator[str]:
        """A jump in the first stage."""
        yield from first_stage_without_jump(distill)

    def prepare(self, student: VideoNetwork, params: Params, name: str) -> None:
        """Vectors for shorter steps, if it learns them."""
        super().prepare(student, params, name)
        if params.distill.horizons:
            student.embed_steps(params.distill.horizons)

    def starts(self, params: StageParams, num_steps: int, is_final: bool) -> Tensor:
        """Wherever a step has room; in a final stage where inference starts."""
        return start_indices(num_steps, params.horizon, is_final)

    def target(self, stage: Stage, batch: Batch, average: nn.Module | None) -> Target:
        """The online target of each sample's own horizon, or the stored end if a roll-out has it."""
        states, sigmas = batch.states, stage.grid_on_device.sigmas
        end = states.end.clone()
        for horizon, made in batch.to_make.items():
            route = route_of(stage.distill, stage.params.at_horizon(horizon), stage.previous_horizon)
            text, scale = batch.text[made], batch.guidance_scale[made]
            end[made] = make_target(
                states.latents[made],
                states.grid_index[made],
                stage.grid_on_device,
                route,
                teacher=stage.guided_teacher(text, scale),
                previous=stage.previous_student(text),
            ).end
        index = states.grid_index
        return Target(end, mean_velocity(states.latents, end, sigmas[index], sigmas[index + states.horizon]))

    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """Jumps of the previous student, guided evaluations of the teacher."""
        return route_of(distill, params, previous_horizon).forwards()


OBJECTIVE = Gpd()
