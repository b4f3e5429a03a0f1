"""A flow map that is given the length of its step, learnt by the Lagrangian rule (Boffi et al. 2024, arXiv 2406.07507):
where its own step of k - 1 intervals ends, the guided teacher walks the k-th."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gpd.core.randomness import Stream, integers_of
from gpd.core.velocity import euler_step, mean_velocity
from gpd.distillation.objectives import StepObjective, own_targets_from_clips
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch, States
from gpd.distillation.states.starts import start_indices
from gpd.distillation.targets import Target
from gpd.models.network import VideoNetwork
from gpd.params import Distill, Params, StageParams


class FlowMap(StepObjective):
    """For a state x_i and a number k of intervals, drawn in 1 .. K, K the stage's horizon, and never past the end:

    jump    y  = x_i + (sigma[i + k - 1] - sigma[i]) * v_average(x_i, sigma[i], k - 1);  y = x_i for k = 1
    tail    z  = y + (sigma[i + k] - sigma[i + k - 1]) * v_teacher(y, sigma[i + k - 1])
    target  v* = (z - x_i) / (sigma[i + k] - sigma[i])

    The jump is evaluated for k = 1, too, so that every sample costs the same. Steps of K intervals have no vector, so
    that the network is plain for them.
    """

    def excludes(self, distill: Distill) -> Iterator[str]:
        """What needs steps of one length; no average to jump with."""
        yield from own_targets_from_clips(distill, "jumps by the student's average")
        key = f"distill.objective={distill.objective!r}"
        if distill.lora_rank > 0:
            yield f"{key} trains vectors beside factors: distill.lora_rank={distill.lora_rank} must be 0"
        for name, stage in distill.stages.items():
            if stage.tail != 1 or stage.horizon == 1:
                yield f"{key}: distill.stages.{name}: tail={stage.tail} must be 1, horizon={stage.horizon} above 1"

    def prepare(self, student: VideoNetwork, params: Params, name: str) -> None:
        """A vector for each shorter step."""
        super().prepare(student, params, name)
        student.embed_steps(range(1, params.distill.stages[name].horizon))

    def starts(self, params: StageParams, num_steps: int, is_final: bool) -> Tensor:
        """Wherever one interval is left."""
        return start_indices(num_steps, 1, False)

    def vary(self, stage: Stage, states: States) -> States:
        """A horizon for each sample, cut where the grid ends."""
        drawn = 1 + integers_of(stage.params.horizon, stage.seed, Stream.FLOW_HORIZON, states.number.tolist())
        return states._replace(horizon=torch.minimum(drawn, stage.grid.num_steps - states.grid_index))

    def asked(self, stage: Stage, batch: Batch) -> dict[str, Tensor]:
        """The horizons."""
        return {"horizon": batch.states.horizon}

    @torch.no_grad()
    def target(self, stage: Stage, batch: Batch, average: nn.Module | None) -> Target:
        """See above."""
        assert average is not None, "`excludes` sees to it"
        states, grid, start = batch.states, stage.grid_on_device, batch.states.grid_index
        end, turn = start + states.horizon, start + states.horizon - 1
        shorter = (states.horizon - 1).clamp(min=1)
        jump = average(states.latents, grid.timesteps[start], batch.text, horizon=shorter)
        latents = euler_step(states.latents, jump, grid.sigmas[start], grid.sigmas[turn])
        teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
        latents = euler_step(latents, teacher(latents, grid.timesteps[turn]), grid.sigmas[turn], grid.sigmas[end])
        return Target(latents, mean_velocity(states.latents, latents, grid.sigmas[start], grid.sigmas[end]))

    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """One guided evaluation of the teacher, one of the student's average."""
        return {"teacher": 2, "student": 1}


OBJECTIVE = FlowMap()
