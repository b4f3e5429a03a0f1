"""`gpd bench`: speed and memory beside their goals."""

import itertools
import json
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

from gpd.distillation.objectives import check_objective
from gpd.params import Params

if TYPE_CHECKING:
    from gpd.distillation.speed import Speed
    from gpd.distillation.stage import Stage

NUM_CALLS, NUM_ROUNDS = 5, 3
READ_SECONDS = 3.0
NUM_BEFORE, NUM_MORE = 40, 200  # iterations: before memory is looked at, and those that may take hardly any more
COMMANDS = {
    "gpd --help": (["gpd", "--help"], 0.5),
    "dvc repro with nothing to do": (["dvc", "repro"], 5.0),
}  # s at most


class Figure(NamedTuple):
    """A measured figure and its goal: at most, or at least."""

    what: str
    value: float
    unit: str
    goal: float
    is_smaller_better: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.goal if self.is_smaller_better else self.value >= self.goal


def run(params: Params) -> None:
    """Measures everything and prints a table; runs in the repository with `dvc repro` done."""
    from gpd.distillation import speed
    from gpd.models.onednn import is_available

    check_objective(params.distill)
    figures = [Figure(what, seconds_of(words), "s", goal) for what, (words, goal) in COMMANDS.items()]
    for name in params.distill.stages:
        measured = speed.measure(params, name)
        trained = measured.forwards_per_second / speed.forwards_of_sample(params, name)
        reading = read_samples_per_second(params) / trained
        figures += training_figures(name, measured)
        figures.append(Figure(f"{name}: reading shards over consuming them", reading, "x", 20.0, False))
    first = next(iter(params.distill.stages))
    if is_available():
        figures.append(
            Figure(f"{first}: evaluations by oneDNN over those by MKL", onednn_ratio(params, first), "x", 0.9)
        )
    figures.append(
        Figure(f"{first}: memory that {NUM_MORE} iterations more take", growth_mib(params, first), "MiB", 16.0)
    )
    show(figures)


def run_train(params: Params, as_json: bool) -> None:
    """Measures how fast the last stage trains; runs with `gpd prepare` and `gpd encode` done."""
    from gpd.distillation import speed

    check_objective(params.distill)
    name = list(params.distill.stages)[-1]
    measured = speed.measure(params, name)
    if as_json:
        print(json.dumps(measured._asdict(), indent=2))
        return
    print(f"{name} on a CPU with {measured.cpu_capability}: {measured.forwards_per_second:.1f} forwards/s of training")
    show(training_figures(name, measured))


def training_figures(name: str, measured: "Speed") -> list[Figure]:
    """What of a stage's speed has a goal."""
    return [
        Figure(f"{name}: train step over its bare evaluations", measured.step_over_bare, "x", 1.25),
        Figure(f"{name}: optimiser over forward and backward", measured.optimizer_share, "x", 0.15),
        Figure(f"{name}: a save's stop over the time between saves", measured.save_stop_share, "x", 0.02),
    ]


def seconds_of(command: list[str]) -> float:
    """Median wall time of a command."""
    seconds = []
    for _ in range(NUM_CALLS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def onednn_ratio(params: Params, name: str) -> float:
    """Time of an iteration's evaluations by oneDNN over the same by MKL; rounds alternate."""
    from gpd.distillation.speed import bare_seconds

    ratios = []
    for _ in range(NUM_ROUNDS):
        ours = sum(bare_seconds(params, name))
        ratios.append(ours / sum(bare_seconds(params, name, _use_mkl)))
    return statistics.median(ratios)


def _use_mkl(stage: "Stage") -> None:
    """The reverse of `gpd.models.onednn.use_onednn`."""
    from torch import nn

    from gpd.models.onednn import Linear

    for module in itertools.chain(stage.teacher.modules(), stage.student.modules()):
        if isinstance(module, Linear):
            module.__class__ = nn.Linear  # type: ignore[assignment]


def read_samples_per_second(params: Params) -> float:
    """Clip latents and their texts read from the shards, one after the other in a mixed order."""
    import numpy as np

    from gpd.data.shards import open_latents
    from gpd.distillation.loading import LATENTS

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
    """Resident memory gained by `NUM_MORE` iterations of the loop after `NUM_BEFORE`."""
    from gpd.distillation.speed import step_seconds

    first, last = NUM_BEFORE, NUM_BEFORE + NUM_MORE
    sizes: dict[int, float] = {}

    def note(iteration: int) -> None:
        if iteration in (first, last):
            sizes[iteration] = psutil.Process().memory_info().rss / 2**20

    step_seconds(params, name, last, note)
    return sizes[last] - sizes[first]


def show(figures: list[Figure]) -> None:
    """A table of what was measured."""
    from rich.console import Console
    from rich.table import Table

    table = Table("measured", "figure", "goal", "")
    for figure in figures:
        sign = "<=" if figure.is_smaller_better else ">="
        goal = f"{sign} {figure.goal:g} {figure.unit}"
        table.add_row(figure.what, f"{figure.value:.2f} {figure.unit}", goal, "met" if figure.is_met else "MISSED")
    Console(width=110).print(table)
