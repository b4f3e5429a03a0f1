"""What training costs, in forwards of the network: the currency that methods are compared in."""

import torch
from torch import Tensor

from gpd.distillation.stream import staggered, start_indices
from gpd.distillation.targets import forwards_per_target
from gpd.params import Distill, StageParams

STUDENT_FORWARDS = 3  # forward and backward; a backward counts twice
FILL_STRIDE = 8  # grid intervals a step when the pool's first states are walked to; only their spread matters


def target_forwards(distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
    """Network evaluations of one online target by role; a consistency target asks the student's average."""
    if distill.objective == "consistency":
        return {"previous": 0, "teacher": 2, "student": 1}
    return forwards_per_target(params.horizon, params.tail, previous_horizon, distill.tail.stride)


def at_horizon(params: StageParams, horizon: int) -> StageParams:
    """The stage's params for a step of `horizon` intervals at most its own: the tail ends with the step."""
    return params.model_copy(update={"horizon": horizon, "tail": min(params.tail, horizon)})


def forwards_per_sample(distill: Distill, params: StageParams, previous_horizon: int, grid_steps: int) -> float:
    """What training on one sample costs in the mean: its target, unless a roll-out knows it, the student's own, and
    its part of the restart of a streamed trajectory.
    """

    def cost(step: StageParams) -> int:
        return sum(target_forwards(distill, step, previous_horizon).values())

    own, shorter = cost(params), [cost(at_horizon(params, horizon)) for horizon in distill.horizons]
    saved = sum(own - each for each in shorter) / max(1, len(shorter))
    targets = (1 - distill.states.rollouts) * own - distill.states.clips * saved
    return targets + STUDENT_FORWARDS + distill.states.stream * restart_forwards(distill, params, grid_steps)


def restart_forwards(distill: Distill, params: StageParams, grid_steps: int) -> float:
    """Walks to where trajectories begin anew, for each streamed sample; the last stage begins at noise.

    Trajectories from the offsets 0 .. k-1 meet each of the N - k + 1 start indices once: those of offset o the indices
    o, o + k, and so on. So k restarts go with N - k + 1 samples.
    """
    if _is_last(distill, params, grid_steps):
        return 0.0
    return _walk_forwards(params, torch.arange(params.horizon)) / (grid_steps - params.horizon + 1)


def fill_forwards(distill: Distill, params: StageParams, grid_steps: int) -> int:
    """What a stage spends before its first iteration: the walks that fill the pool, if states stream."""
    if distill.states.stream == 0:
        return 0
    starts = start_indices(grid_steps, params.horizon, _is_last(distill, params, grid_steps))
    return _walk_forwards(params, staggered(starts, distill.pool_slots))


def _walk_forwards(params: StageParams, ends: Tensor) -> int:
    """Forwards of coarse walks to `ends`: two an evaluation where the guided teacher walks, for want of a jump."""
    evaluations = int((-(-ends // FILL_STRIDE)).sum())
    return evaluations * (1 if params.tail < params.horizon else 2)


def _is_last(distill: Distill, params: StageParams, grid_steps: int) -> bool:
    return params.horizon == grid_steps // distill.final_steps
