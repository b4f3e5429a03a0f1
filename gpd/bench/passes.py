"""What passes through the networks cost: an iteration by part, and a step of a sample."""

import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gpd.bench.plan import planned
from gpd.bench.results import SampleCost, StepCost
from gpd.core.velocity import unguided
from gpd.distillation import speed
from gpd.distillation.stage import Stage
from gpd.distillation.trainer import make_accelerator
from gpd.params import Params

GUIDED_STEPS, STUDENT_STEPS = 48, 6  # 96 forwards against 6
NUM_ROUNDS = 3


def measure_passes(params: Params, name: str) -> tuple[StepCost, SampleCost]:
    """Loads stage `name` once and times an iteration's parts, then a sample's steps.

    The loop around the parts is timed as well if there are enough iterations. The first iteration is left out if there
    is a second.
    """
    iterations = params.distill.stages[name].iterations
    accelerator = make_accelerator(params.model.dtype)
    stage = speed.short_stage(params, name, iterations, Path("unused"), accelerator)
    sample = sample_cost(stage)
    warm = min(speed.NUM_WARM, iterations - 1)
    bare = speed.bare_seconds_of(stage, accelerator, num_rounds=iterations, num_warm=warm)
    del stage
    loop = None
    if iterations > speed.NUM_WARM + 1:
        if accelerator.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        loop = statistics.median(speed.step_seconds(params, name, iterations))
    memory = planned(params)
    step = StepCost(
        target=bare.targets,
        forward=bare.forward,
        backward=bare.backward,
        optimizer=bare.optimizer,
        loop=loop,
        peak_bytes=torch.cuda.max_memory_allocated() if accelerator.device.type == "cuda" else None,
        planned_bytes=None if memory is None else round(memory.peak),
    )
    return step, sample


@torch.no_grad()
def sample_cost(stage: Stage) -> SampleCost:
    """Of one sample by the guided teacher and by the student."""
    one = dataclasses.replace(stage, params=stage.params.model_copy(update={"batch": 1}))
    batch = speed.noise_batch(one, 1)
    latents = batch.states.latents
    timesteps = stage.grid.timesteps.to(stage.device)[batch.states.grid_index]
    guided, student = one.guided_teacher(batch.text, batch.guidance_scale), unguided(stage.student, batch.text)
    return SampleCost(
        of_96_forwards=GUIDED_STEPS * _median_seconds(lambda: guided(latents, timesteps), stage.device),
        of_6_forwards=STUDENT_STEPS * _median_seconds(lambda: student(latents, timesteps), stage.device),
    )


def _median_seconds(work: Callable[[], object], device: torch.device) -> float:
    seconds = []
    for _ in range(1 + NUM_ROUNDS):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])
