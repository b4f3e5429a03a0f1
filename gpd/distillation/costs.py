"""What training costs, in forwards of the network: the currency that methods are compared in."""

from collections.abc import Mapping

import torch

from gpd.distillation.objectives import objective_of
from gpd.distillation.stage import Stage
from gpd.distillation.states.starts import staggered, start_indices
from gpd.distillation.states.walks import walk_forwards
from gpd.params import Distill, StageParams, TeacherShare

STUDENT_FORWARDS = 3  # forward and backward; a backward counts twice
ALONE = TeacherShare(start=0.0, end=0.0)  # the probe measures the student's own way
NUM_MOMENTS = 1000  # of a stage, at which a cost that changes over it is looked at


def target_forwards(distill: Distill, params: StageParams, previous_horizon: int) -> dict[str, int]:
    """Network evaluations of one online target by role, at the stage's beginning if they change over it; the student's
    own three come on top.
    """
    return objective_of(distill, params).forwards(distill, params, previous_horizon)


def batch_forwards(stage: Stage, to_make: Mapping[int, int], progress: float) -> dict[str, int]:
    """What training on a batch costs by role: the targets that are to be made and the student's own part.

    Args:
        to_make: horizon -> number of the samples at it whose target is not stored.
        progress: the share of the stage's iterations that are done.
    """
    spent, distill = {"student": STUDENT_FORWARDS * stage.params.batch}, stage.distill.at(progress)
    for horizon, samples in to_make.items():
        params = stage.params.at_horizon(horizon)
        for role, number in target_forwards(distill, params, stage.previous_horizon).items():
            spent[role] = spent.get(role, 0) + samples * number
    return spent


def forwards_per_sample(distill: Distill, params: StageParams, previous_horizon: int, grid_steps: int) -> float:
    """What training on one sample costs in the mean over the stage: its target, unless a roll-out has it, the student's
    own, and its part of the restart of a streamed trajectory.
    """
    moments = _moments(distill)

    def cost(some: StageParams) -> float:
        return sum(sum(target_forwards(at, some, previous_horizon).values()) for at in moments) / len(moments)

    own, shorter = cost(params), [cost(params.at_horizon(horizon)) for horizon in distill.horizons]
    saved = sum(own - each for each in shorter) / max(1, len(shorter))
    targets = (1 - distill.states.rollouts) * own - distill.states.clips * saved
    return targets + STUDENT_FORWARDS + distill.states.stream * restart_forwards(distill, params, grid_steps)


def _moments(distill: Distill) -> list[Distill]:
    """The settings evenly over a stage; one for all of it if nothing changes."""
    share = distill.teacher_share
    if share.start == share.end:
        return [distill]
    return [distill.at((moment + 0.5) / NUM_MOMENTS) for moment in range(NUM_MOMENTS)]


def restart_forwards(distill: Distill, params: StageParams, grid_steps: int) -> float:
    """Walks to where trajectories begin anew, for each streamed sample; a final stage begins at noise.

    Trajectories from the offsets 0 .. k-1 meet each of the N - k + 1 start indices once: those of offset o the indices
    o, o + k, and so on. So k restarts go with N - k + 1 samples.
    """
    if _is_final(distill, params, grid_steps):
        return 0.0
    offsets = torch.arange(params.horizon)
    return sum(walk_forwards(offsets, asks_previous(distill, params)).values()) / (grid_steps - params.horizon + 1)


def fill_forwards(distill: Distill, params: StageParams, grid_steps: int) -> int:
    """What a stage spends before its first iteration: the walks that fill the pool, if states stream."""
    if distill.states.stream == 0:
        return 0
    return _walks(distill, params, grid_steps, distill.pool_slots)


def probe_forwards(distill: Distill, params: StageParams, previous_horizon: int) -> int:
    """What one measurement of a network takes: for each state its target, the true roll-out by the guided teacher and
    the network itself. Without clips the walks to the states come on top.
    """
    own_way = distill.model_copy(update={"teacher_share": ALONE})
    of_target = sum(target_forwards(own_way, params, previous_horizon).values())
    return distill.probe.num_states * (of_target + 2 * params.horizon + 1)


def probe_walk_forwards(distill: Distill, params: StageParams, grid_steps: int) -> int:
    """What the walks to the states of one measurement take if there are no clips."""
    return _walks(distill, params, grid_steps, distill.probe.num_states)


def _walks(distill: Distill, params: StageParams, grid_steps: int, number: int) -> int:
    starts = start_indices(grid_steps, params.horizon, _is_final(distill, params, grid_steps))
    return sum(walk_forwards(staggered(starts, number), asks_previous(distill, params)).values())


def strip_forwards(distill: Distill, params: StageParams, grid_steps: int) -> int:
    """What the samples on the way take: of the student every so many iterations, of the guided teacher once."""
    strip = distill.probe.strip
    if strip is None:
        return 0
    points = len({*range(0, params.iterations, strip.every), params.iterations})
    samples = points * strip_sample_forwards(grid_steps, params.horizon) + strip_sample_forwards(grid_steps, None)
    return strip.num_prompts * samples


def strip_sample_forwards(grid_steps: int, horizon: int | None) -> int:
    """Of one sample by a student, or of the guided teacher's on the base grid if there is no horizon."""
    return 2 * grid_steps if horizon is None else -(-grid_steps // horizon)


def asks_previous(distill: Distill, params: StageParams) -> bool:
    """Whether targets need the previous student, which then walks to where states begin."""
    return target_forwards(distill, params, previous_horizon=1).get("previous", 0) > 0


def _is_final(distill: Distill, params: StageParams, grid_steps: int) -> bool:
    return params.horizon >= grid_steps // distill.final_steps
