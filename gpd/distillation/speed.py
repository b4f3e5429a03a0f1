"""How fast a stage trains, beside what its network evaluations alone take: ratios of one run, as machines are noisy."""

import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from gpd.core.velocity import unguided
from gpd.distillation.batches import make_batch
from gpd.distillation.costs import forwards_per_sample, target_forwards
from gpd.distillation.loading import make_stage
from gpd.distillation.objectives import objective_of
from gpd.distillation.optimizers import make_room
from gpd.distillation.saving.train_state import TrainState
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch, make_states
from gpd.distillation.trainer import REPORT_EVERY, make_accelerator, train_stage
from gpd.distillation.training import begin
from gpd.params import Params

NUM_STEPS, NUM_ROUNDS = 12, 3
NUM_WARM = 2  # iterations that are left out


class Speed(NamedTuple):
    """Of training a stage.

    Attributes:
        cpu_capability: the widest instructions that torch uses here ("AVX2", "AVX512", ...).
        forwards_per_second: of training, counted as everywhere: a backward is two.
        step_over_bare: an iteration beside its targets' evaluations and the student's forward and backward alone.
        optimizer_share: the optimiser's step as a share of the student's forward and backward.
        save_stop_share: how long a save stops the loop, as a share of the time between saves.
    """

    cpu_capability: str
    forwards_per_second: float
    step_over_bare: float
    optimizer_share: float
    save_stop_share: float


class Bare(NamedTuple):
    """Seconds of one iteration's parts, without the loop around them; forward and backward are the student's."""

    targets: float
    forward: float
    backward: float
    optimizer: float

    @property
    def student(self) -> float:
        """Forward and backward."""
        return self.forward + self.backward


def measure(params: Params, name: str) -> Speed:
    """Rounds of the real loop and of its bare parts alternate; medians."""
    stage = params.distill.stages[name]
    steps, ratios, shares = [], [], []
    for _ in range(NUM_ROUNDS):
        steps.append(statistics.median(step_seconds(params, name, NUM_STEPS)))
        bare = bare_seconds(params, name)
        ratios.append(steps[-1] / (bare.targets + bare.student))
        shares.append(bare.optimizer / bare.student)
    return Speed(
        torch.backends.cpu.get_cpu_capability(),
        forwards_of_sample(params, name) * stage.batch / statistics.median(steps),
        statistics.median(ratios),
        statistics.median(shares),
        save_stop_seconds(params, name) / params.distill.save_every_seconds,
    )


def save_stop_seconds(params: Params, name: str) -> float:
    """How long a save of the stage stops the loop."""
    accelerator = make_accelerator(params.model.dtype)
    with tempfile.TemporaryDirectory() as work:
        return save_stop_seconds_of(short_stage(params, name, NUM_STEPS, Path(work), accelerator), accelerator)


def save_stop_seconds_of(stage: Stage, accelerator: Accelerator) -> float:
    """Of the second save: the first one also gets memory for its copies."""
    training = begin(stage, accelerator)
    make_room(training.optimizer)
    with TrainState(stage.work, save_every_seconds=stage.distill.save_every_seconds) as state:
        training.save(state)
        first = state.stopped_seconds
        state.wait()
        training.save(state)
        return state.stopped_seconds - first


def forwards_of_sample(params: Params, name: str) -> float:
    """What a sample of the stage costs in the mean."""
    stages = params.distill.stages
    before = [stage.horizon for stage in stages.values() if stage.horizon < stages[name].horizon]
    return forwards_per_sample(params.distill, stages[name], max(before, default=0), params.model.grid_steps)


def step_seconds(
    params: Params, name: str, iterations: int, on_iteration: Callable[[int], None] = lambda _: None
) -> list[float]:
    """Wall time of an iteration of the real loop between each two reports, the first ones left out.

    Args:
        iterations: times those that lie between two reports.
    """
    accelerator, stamps = make_accelerator(params.model.dtype), list[tuple[int, float]]()
    iterations *= REPORT_EVERY[accelerator.device.type]

    def stamp(iteration: int, loss: float) -> None:
        stamps.append((iteration, time.perf_counter()))
        on_iteration(iteration)

    with tempfile.TemporaryDirectory() as work:
        train_stage(short_stage(params, name, iterations, Path(work), accelerator), accelerator, stamp)
    pairs = itertools.pairwise(stamps[NUM_WARM:])
    return [(end - start) / (last - first) for (first, start), (last, end) in pairs]


def short_stage(params: Params, name: str, iterations: int, work: Path, accelerator: Accelerator) -> Stage:
    """The stage with so many iterations, hardly probed, not shown or saved, its pool no larger than a batch."""
    stage = make_stage(params, name, work, accelerator.device)
    probe = stage.distill.probe.model_copy(update={"num_states": 1, "strip": None})
    quick = {"probe": probe, "save_every_seconds": 10**9, "pool_slots": stage.params.batch}
    return dataclasses.replace(
        stage,
        params=stage.params.model_copy(update={"iterations": iterations}),
        distill=stage.distill.model_copy(update=quick),
    )


def bare_seconds(params: Params, name: str, prepare: Callable[[Stage], None] = lambda _: None) -> Bare:
    """Medians over iterations at the stage's own horizon; `prepare` may change the networks first."""
    accelerator = make_accelerator(params.model.dtype)
    stage = short_stage(params, name, NUM_STEPS, Path("unused"), accelerator)
    prepare(stage)
    return bare_seconds_of(stage, accelerator)


def bare_seconds_of(
    stage: Stage, accelerator: Accelerator, *, num_rounds: int = NUM_STEPS, num_warm: int = NUM_WARM
) -> Bare:
    """Each network is evaluated as often as the objective states; the latents are noise.

    Args:
        num_rounds: iterations, of which the first `num_warm` are left out.
    """
    training = begin(stage, accelerator)
    batch = noise_batch(stage, training.at_once)
    timesteps = stage.grid_on_device.timesteps[batch.states.grid_index]
    asked = objective_of(stage.distill, stage.params).asked(stage, batch)
    losses: list[Tensor] = []

    def targets() -> None:
        evaluate_networks(stage, training.network, batch)

    def forward() -> None:
        losses.append(training.predict(batch.states.latents, timesteps, batch.text, **asked).square().mean())

    def backward() -> None:
        accelerator.backward(losses.pop())

    def optimizer() -> None:
        training.optimizer.step()
        training.optimizer.zero_grad(set_to_none=True)

    parts = (targets, forward, backward, optimizer)
    rounds = [[_seconds_of(part, stage.device) for part in parts] for _ in range(num_rounds)]
    found = Bare(*(statistics.median(part) for part in zip(*rounds[num_warm:], strict=True)))
    times = stage.params.batch / training.at_once
    return Bare(times * found.targets, times * found.forward, times * found.backward, found.optimizer)


def noise_batch(stage: Stage, number: int) -> Batch:
    """So many samples of pure noise at the stage's own horizon."""
    latents, index = torch.randn(number, *stage.latent_shape), torch.zeros(number, dtype=torch.int64)
    states = make_states(latents, index, stage.params.horizon, torch.arange(number) % len(stage.texts))
    return make_batch(stage, objective_of(stage.distill, stage.params), states, share_of_iterations=0.0)


@torch.no_grad()
def evaluate_networks(stage: Stage, student: nn.Module, batch: Batch) -> None:
    """As many evaluations as a target takes, and nothing else."""
    latents = batch.states.latents
    timesteps = stage.grid_on_device.timesteps[batch.states.grid_index]
    fields = {  # and the forwards of one evaluation
        "teacher": (stage.guided_teacher(batch.text, batch.guidance_scale), 2),
        "previous": (stage.previous_student(batch.text), 1),
        "student": (unguided(student, batch.text), 1),
    }
    for role, forwards in target_forwards(stage.distill, stage.params, stage.previous_horizon).items():
        field, forwards_each = fields[role]
        for _ in range(forwards // forwards_each):
            assert field is not None, f"a target needs the {role} network, and there is none"
            field(latents, timesteps)


def _seconds_of(work: Callable[[], None], device: torch.device) -> float:
    """Wall time, with all work on the device done."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
