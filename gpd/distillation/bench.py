"""`gpd bench`: speed and memory beside their goals, as ratios of one run: machines are noisy, ratios less so."""

import dataclasses
import itertools
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpd.distillation.costs import target_forwards
from gpd.distillation.loading import LATENTS, make_stage
from gpd.params import Params

if TYPE_CHECKING:
    from gpd.distillation.stage import Stage

NUM_STEPS, NUM_ROUNDS = 24, 3
NUM_CALLS = 5
READ_SECONDS = 3.0

Row = tuple[str, float, str, float, bool]  # what, figure, unit, goal, whether smaller is better


def run(params: Params) -> None:
    """Measures and prints a table; runs in the repository with `dvc repro` done."""
    from gpd.models.onednn import is_available

    rows: list[Row] = [("gpd --help", _seconds_of(["gpd", "--help"]), "s", 0.5, True)]
    rows.append(("dvc repro with nothing to do", _seconds_of(["dvc", "repro"]), "s", 5.0, True))
    for name in params.distill.stages:
        ratio, seconds = train_step_ratio(params, name)
        rows.append((f"{name}: train step over its bare evaluations", ratio, "x", 1.10, True))
        speed = read_samples_per_second(params) * seconds / params.distill.stages[name].batch
        rows.append((f"{name}: reading shards over consuming them", speed, "x", 20.0, False))
    first = next(iter(params.distill.stages))
    if is_available():
        rows.append((f"{first}: evaluations by oneDNN over those by MKL", onednn_ratio(params, first), "x", 0.9, True))
    rows.append((f"{first}: memory that 200 iterations more take", growth_mib(params, first), "MiB", 16.0, True))
    _print(rows)


def _seconds_of(command: list[str]) -> float:
    """Median wall time of a command."""
    seconds = []
    for _ in range(NUM_CALLS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _short_stage(params: Params, name: str, iterations: int, work: Path, device: Any) -> "Stage":
    stage = make_stage(params, name, work, device)
    shorter = stage.params.model_copy(update={"iterations": iterations})
    distill = stage.distill.model_copy(
        update={"probe": stage.distill.probe.model_copy(update={"num_states": 1}), "save_every_seconds": 10**9}
    )
    return dataclasses.replace(stage, params=shorter, distill=distill)


def _step_seconds(params: Params, name: str, iterations: int, on_iteration: Callable[[int], None]) -> list[float]:
    """Wall time of each iteration of the real loop, the first two left out."""
    from gpd.distillation.trainer import make_accelerator, train_stage

    accelerator = make_accelerator(params.model.dtype)
    work = Path(tempfile.mkdtemp())
    stamps: list[float] = []

    def stamp(iteration: int, loss: float) -> None:
        stamps.append(time.perf_counter())
        on_iteration(iteration)

    try:
        train_stage(_short_stage(params, name, iterations, work, accelerator.device), accelerator, stamp)
    finally:
        shutil.rmtree(work)
    return [after - before for before, after in itertools.pairwise(stamps[2:])]


def _bare_seconds(params: Params, name: str, is_mkl: bool = False) -> list[float]:
    """Wall time of the network evaluations of one iteration and nothing else, the optimiser's step included."""
    import torch

    from gpd.core.velocity import join_text, stack_text
    from gpd.distillation.optimizers import make_optimizers
    from gpd.distillation.trainer import make_accelerator
    from gpd.models.adapters import make_trainable

    accelerator = make_accelerator(params.model.dtype)
    device = accelerator.device
    stage = _short_stage(params, name, NUM_STEPS, Path("unused"), device)
    if is_mkl:
        _use_mkl(stage.teacher, stage.student)
    make_trainable(stage.student, stage.distill.lora_rank, seed=0)
    rate, decay = stage.params.learning_rate, stage.distill.weight_decay
    chosen = make_optimizers(stage.student, stage.distill.optimizer, learning_rate=rate, weight_decay=decay)
    student, *optimizers = accelerator.prepare(stage.student, *chosen)
    batch = stage.params.batch
    cost = target_forwards(stage.distill, stage.params, stage.previous_horizon)
    latents = torch.randn(batch, *stage.latent_shape, device=device)
    text = stack_text([stage.texts[n % len(stage.texts)] for n in range(batch)]).to(device)
    both = join_text(text, stage.negative[None].to(device).expand(batch, -1, -1))
    timesteps = torch.full((batch,), 500, device=device)
    seconds = []
    for _ in range(NUM_STEPS):
        started = time.perf_counter()
        with torch.no_grad():
            for _ in range(cost["previous"]):
                stage.previous(latents, timesteps, text)  # type: ignore[misc]
            for _ in range(cost["teacher"] // 2):
                stage.teacher(torch.cat([latents, latents]), torch.cat([timesteps, timesteps]), both)
        with accelerator.autocast():
            loss = student(latents, timesteps, text).square().mean()
        accelerator.backward(loss)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss.item()
        seconds.append(time.perf_counter() - started)
    return seconds[2:]


def _use_mkl(*networks: Any) -> None:
    """The reverse of `gpd.models.onednn.use_onednn`."""
    from torch import nn

    from gpd.models.onednn import Linear

    for module in itertools.chain(*(network.modules() for network in networks)):
        if isinstance(module, Linear):
            module.__class__ = nn.Linear  # type: ignore[assignment]


def onednn_ratio(params: Params, name: str) -> float:
    """Time of an iteration's evaluations by oneDNN over the same by MKL; rounds alternate."""
    ratios = []
    for _ in range(NUM_ROUNDS):
        ours = statistics.median(_bare_seconds(params, name))
        ratios.append(ours / statistics.median(_bare_seconds(params, name, is_mkl=True)))
    return statistics.median(ratios)


def train_step_ratio(params: Params, name: str) -> tuple[float, float]:
    """Time of a train step over the time of its network evaluations, and the former in seconds; rounds alternate."""
    ratios, steps = [], []
    for _ in range(NUM_ROUNDS):
        step = statistics.median(_step_seconds(params, name, NUM_STEPS, lambda _: None))
        ratios.append(step / statistics.median(_bare_seconds(params, name)))
        steps.append(step)
    return statistics.median(ratios), statistics.median(steps)


def read_samples_per_second(params: Params) -> float:
    """Clip latents and their texts read from the shards, one after the other in a mixed order."""
    import numpy as np

    from gpd.data.shards import open_latents

    data = open_latents(LATENTS, params)
    texts = data.texts()
    if not data.num_clips:
        return float("nan")
    rng = np.random.default_rng(0)
    started, number = time.perf_counter(), 0
    while time.perf_counter() - started < READ_SECONDS:
        latents, text_id = data.clip(int(rng.integers(data.num_clips)))
        latents.sum() + texts[text_id].sum()  # touches every byte
        number += 1
    return number / (time.perf_counter() - started)


def growth_mib(params: Params, name: str) -> float:
    """Resident memory gained between iterations 40 and 240 of the loop."""
    sizes: dict[int, float] = {}

    def note(iteration: int) -> None:
        if iteration in (40, 240):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            sizes[iteration] = pages * 4096 / 2**20

    _step_seconds(params, name, 240, note)
    return sizes[240] - sizes[40]


def _print(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("measured", "figure", "goal", "")
    for what, figure, unit, goal, is_smaller_better in rows:
        is_met = figure <= goal if is_smaller_better else figure >= goal
        sign = "<=" if is_smaller_better else ">="
        table.add_row(what, f"{figure:.2f} {unit}", f"{sign} {goal:g} {unit}", "met" if is_met else "MISSED")
    Console(width=110).print(table)
