"""Metrics in processes beside the one that decodes: at Wan's size a clip takes 30 s of a core."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor

import torch

from gpd.data.orphans import end_with_parent
from gpd.evaluation.measures import join, list_measures, measure_batch
from gpd.evaluation.metric import Batch, Measure, Rows
from gpd.evaluation.profiles import measure_profiles

# A second of all metrics is about a million pixels on one core, and a process takes five seconds to start.
PIXELS_OF_A_PROCESS = 20_000_000

Sides = list[Rows]  # of a subject's batch, and of what lies beside it


def measure_sides(sides: tuple[Batch, ...], names: Iterable[str]) -> Sides:
    """Each side by the measures whose first rows have these names; the first one's profiles, too."""
    wanted = set(names)
    measures = [measure for measure in list_measures() if measure.names[0] in wanted]
    own, *others = (measure_batch(side, measures) for side in sides)
    assert sides[0].frames is not None, "samples are decoded before they are measured"
    return [own | measure_profiles(sides[0].frames), *others]


def _begin() -> None:
    """What a process does first."""
    end_with_parent()
    torch.set_num_threads(1)


class Measurers:
    """Measures batches one after another: here if that is little work, else in processes beside this one.

    Args:
        measures: those that can judge the samples (`measures_for`).
        pixels: of all frames of a subject; what follows from it is the number of processes, never a figure.
    """

    def __init__(self, measures: Iterable[Measure], pixels: int) -> None:
        self.names = [measure.names[0] for measure in measures]
        cores = max(1, len(os.sched_getaffinity(0)) - 1)  # one decodes, or feeds the GPU that does
        self.number = min(cores, pixels // PIXELS_OF_A_PROCESS)
        self.under_way: deque[Future[Sides]] = deque()
        self.done: list[Sides] = []
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Measurers":
        if self.number > 0:
            spawning = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
            self.pool = ProcessPoolExecutor(self.number, spawning, initializer=_begin)
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def add(self, *sides: Batch) -> None:
        """Measures a batch and those beside it; waits while two are under way for each process: clips are large."""
        if self.pool is None:
            self.done.append(measure_sides(sides, self.names))
            return
        while len(self.under_way) >= 2 * self.number:
            self.done.append(self.under_way.popleft().result())
        self.under_way.append(self.pool.submit(measure_sides, sides, self.names))

    def results(self) -> Sides:
        """Each side's rows of all batches, in the order in which they were added."""
        self.done += [one.result() for one in self.under_way]
        self.under_way.clear()
        return [join(list(batches)) for batches in zip(*self.done, strict=True)]
