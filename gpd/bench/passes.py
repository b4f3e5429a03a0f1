"""What passes through the networks cost: an iteration by part, and a step of a sample."""

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from gpd.bench.plan import planned
from gpd.core.velocity import APART, unguided
from gpd.distillation import speed
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch
from gpd.distillation.trainer import REPORT_EVERY, make_accelerator, train_stage
from gpd.documents import Document
from gpd.documents.benchmarks import GuidedCost, IterationCost, SampleCost
from gpd.params import Params

GUIDED_STEPS, STUDENT_STEPS = 48, 6  # 96 forwards against 6
NUM_ROUNDS = 3
MIN_ITERATIONS = 3  # on a CPU, for the loop to be timed at all


class Passes(Document):
    """Seconds of an iteration's parts and of what samples take."""

    target: float
    forward: float
    backward: float
    optimizer: float
    sample: SampleCost
    guided: GuidedCost


class Loop(Document):
    """Seconds of an iteration of the loop, None if it is not timed; bytes on the device at its highest moment."""

    seconds: float | None
    peak_bytes: int | None


def measure_passes(params: Params, name: str) -> Passes:
    """Loads stage `name` and times a sample's steps, a guided pair both ways and an iteration's parts."""
    iterations = params.distill.stages[name].iterations
    accelerator = make_accelerator(params.model.dtype)
    stage = speed.short_stage(params, name, iterations, Path("unused"), accelerator)
    sample, guided = sample_cost(stage), guided_cost(stage)
    num_warm = min(speed.NUM_WARM, iterations - 1)
    bare = speed.bare_seconds_of(stage, accelerator, num_rounds=iterations, num_warm=num_warm)
    return Passes(
        target=bare.targets,
        forward=bare.forward,
        backward=bare.backward,
        optimizer=bare.optimizer,
        sample=sample,
        guided=guided,
    )


def measure_loop(params: Params, name: str) -> Loop:
    """The loop itself: on a GPU always, on a CPU if there are iterations enough."""
    accelerator = make_accelerator(params.model.dtype)
    if accelerator.device.type == "cuda":
        return Loop(seconds=loop_seconds(params, name, accelerator), peak_bytes=torch.cuda.max_memory_allocated())
    is_enough = params.distill.stages[name].iterations >= MIN_ITERATIONS
    return Loop(seconds=loop_seconds(params, name, accelerator) if is_enough else None, peak_bytes=None)


def iteration_cost(params: Params, passes: Passes, loop: Loop) -> IterationCost:
    """Beside what the plan says of its memory."""
    memory = planned(params)
    return IterationCost(
        target=passes.target,
        forward=passes.forward,
        backward=passes.backward,
        optimizer=passes.optimizer,
        loop=loop.seconds,
        peak_bytes=loop.peak_bytes,
        planned_bytes=None if memory is None else round(memory.peak),
    )


def loop_seconds(params: Params, name: str, accelerator: Accelerator) -> float:
    """Of an iteration of the real loop, from its first report to its last; peak memory is counted from here."""
    iterations, every = params.distill.stages[name].iterations, REPORT_EVERY[accelerator.device.type]
    if accelerator.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    stamps: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as work:
        stage = speed.short_stage(params, name, max(iterations, 2 * every), Path(work), accelerator)
        train_stage(stage, accelerator, lambda done, loss: stamps.append((done, time.perf_counter())))
    (first, start), (last, end) = stamps[0], stamps[-1]
    return (end - start) / (last - first)


@torch.no_grad()
def sample_cost(stage: Stage) -> SampleCost:
    """Of one sample by the guided teacher and by the student."""
    one, batch, latents, timesteps = one_sample(stage)
    guided, student = one.guided_teacher(batch.text, batch.guidance_scale), unguided(stage.student, batch.text)
    return SampleCost(
        of_96_forwards=GUIDED_STEPS * _median_seconds(lambda: guided(latents, timesteps), stage.device),
        of_6_forwards=STUDENT_STEPS * _median_seconds(lambda: student(latents, timesteps), stage.device),
    )


@torch.no_grad()
def guided_cost(stage: Stage) -> GuidedCost:
    """Of the teacher, both ways by turns."""
    one, batch, latents, timesteps = one_sample(stage)
    before, seconds = os.environ.get(APART), {"0": list[float](), "1": list[float]()}
    for word in ["0", "1"] * NUM_ROUNDS:
        os.environ[APART] = word
        velocity = one.guided_teacher(batch.text, batch.guidance_scale)
        seconds[word].append(_median_seconds(partial(velocity, latents, timesteps), stage.device, num_rounds=1))
    del os.environ[APART]
    if before is not None:
        os.environ[APART] = before
    together, apart = (statistics.median(each) for each in seconds.values())
    return GuidedCost(together=together, apart=apart, faster="apart" if apart < together else "together")


def one_sample(stage: Stage) -> tuple[Stage, Batch, Tensor, Tensor]:
    """The stage with a batch of one sample of pure noise, its latents and its timestep."""
    one = dataclasses.replace(stage, params=stage.params.model_copy(update={"batch": 1}))
    batch = speed.noise_batch(one, 1)
    return one, batch, batch.states.latents, stage.grid_on_device.timesteps[batch.states.grid_index]


def _median_seconds(work: Callable[[], object], device: torch.device, num_rounds: int = NUM_ROUNDS) -> float:
    seconds = []
    for _ in range(1 + num_rounds):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])
