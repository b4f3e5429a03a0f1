"""Piecewise rectified flow (Yan et al. 2024, arXiv 2405.07510): the target of one step, learnt at every point of the
straight line between its ends and not at its start alone."""

from collections.abc import Iterator

from torch import Tensor

from gpd.core.randomness import Stream, integers_of
from gpd.core.velocity import euler_step
from gpd.distillation.copies import send
from gpd.distillation.objectives import one_stage_of_own_targets
from gpd.distillation.objectives.gpd import Gpd
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch
from gpd.distillation.targets import Target
from gpd.params import Distill


class PiecewiseFlow(Gpd):
    """Targets and starts are those of GPD, where the student is trained is not."""

    def excludes(self, distill: Distill) -> Iterator[str]:
        """More than one stage, shorter horizons, stored ends, a jump."""
        yield from one_stage_of_own_targets(distill)
        yield from super().excludes(distill)

    def point(self, stage: Stage, batch: Batch, target: Target) -> tuple[Tensor, Tensor]:
        """Each sample moved along its line by a random number of intervals, 0 .. k-1."""
        offset = integers_of(stage.params.horizon, stage.seed, Stream.CHORD, batch.numbers)
        sigmas, start = stage.grid_on_device.sigmas, batch.states.grid_index
        moved = start + send(offset, stage.device)
        return euler_step(batch.states.latents, target.velocity, sigmas[start], sigmas[moved]), moved


OBJECTIVE = PiecewiseFlow()
