"""Latent consistency distillation (Luo et al. 2023, arXiv 2310.04378): the student predicts the clean latent from
everywhere, and learns it from its own average a little further on."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gpd.core.schedule import Grid
from gpd.core.velocity import Velocity, clean_latent, euler_step, mean_velocity, unguided
from gpd.distillation.objectives import StepObjective, own_targets_from_clips
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch
from gpd.distillation.states.starts import start_indices
from gpd.distillation.targets import Target
from gpd.params import Distill, StageParams


@torch.no_grad()
def consistency_target(
    latents: Tensor, index: Tensor, grid: Grid, *, skip: int, teacher: Velocity, average: Velocity
) -> Target:
    """The formulas, for states x_i [B, C, F, H, W] at grid indices i [B], at most N - n:

    skip    x[i + n] = x_i walked by the guided teacher in one step of n intervals
    clean   c        = x[i + n] - sigma[i + n] * v_average(x[i + n]);  c = x[N] where the skip ends the trajectory
    target  v*       = (x_i - c) / sigma[i]
    """
    sigmas, timesteps = grid.sigmas.to(latents.device), grid.timesteps.to(latents.device)
    following = index + skip
    reached = euler_step(latents, teacher(latents, timesteps[index]), sigmas[index], sigmas[following])
    inside = following.clamp(max=grid.num_steps - 1)
    clean = clean_latent(reached, average(reached, timesteps[inside]), sigmas[following])  # sigma is 0 at the end
    return Target(clean, mean_velocity(latents, clean, sigmas[index], torch.zeros_like(sigmas[index])))


class Consistency(StepObjective):
    """The stage's `tail` is the skip n."""

    def excludes(self, distill: Distill) -> Iterator[str]:
        """All that takes steps for steps over one horizon."""
        yield from own_targets_from_clips(distill, "learns from the student's average")
        key = f"distill.objective={distill.objective!r}"
        if distill.loss_weighting != "uniform":
            yield f"{key}: its steps all end at 0; distill.loss_weighting={distill.loss_weighting!r} must be 'uniform'"

    def starts(self, params: StageParams, num_steps: int, is_final: bool) -> Tensor:
        """Every n-th point of the grid, as a skip leads from one to the next and at last to the end."""
        return start_indices(num_steps, params.tail, is_final=False)[:: params.tail]

    def target(self, stage: Stage, batch: Batch, average: nn.Module | None) -> Target:
        """See `consistency_target`."""
        assert average is not None, "`excludes` sees to it"
        return consistency_target(
            batch.states.latents,
            batch.states.grid_index,
            stage.grid_on_device,
            skip=stage.params.tail,
            teacher=stage.guided_teacher(batch.text, batch.guidance_scale),
            average=unguided(average, batch.text),
        )

    def forwards(self, distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
        """One guided evaluation of the teacher, one of the student's average."""
        return {"teacher": 2, "student": 1}


OBJECTIVE = Consistency()
