"""What an ablation found: results of runs, gathered over seeds into data/ablation/results.json."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from gpd.ablation.variants import Planned
from gpd.documents import (
    AblationFloor,
    AblationRow,
    Document,
    Evaluation,
    Probed,
    Spread,
    SubjectScores,
    load_document,
)

AGREEMENT = "agreement"  # the mean of the figures whose names begin so
COMPARED = "trajectory_error"  # every subject has it but the reference, which has no distance to itself


class StageResult(Document):
    """One stage of a run, on fixed states."""

    stage: str
    before: Probed
    after: Probed


class RunResult(Document):
    """One training and its evaluation.

    Attributes:
        protocol: a hash.
        commit: of the code that made it.
        key: names the file.
        made: the key that it was made under, if it has been accepted for other code since.
    """

    format: Literal[1] = 1
    variant: str
    budget: int
    seed: int
    protocol: str
    commit: str | None
    key: str = ""
    made: str = Field(default="", exclude_if=lambda made: not made)
    steps: int
    training_forwards: int
    sampling_forwards: int
    metrics: dict[str, float]
    stages: list[StageResult]


def make_rows(variants: Mapping[str, Planned], results: Iterable[RunResult]) -> list[AblationRow]:
    """One row for each variant and budget that has at least one finished run, in the order of the results."""
    found: dict[tuple[str, int], list[RunResult]] = defaultdict(list)
    for result in results:
        found[result.variant, result.budget].append(result)
    return [make_row(variants[name], some) for (name, _), some in found.items()]


def load_results(files: Iterable[tuple[str, int, Path]]) -> Iterable[RunResult]:
    """Of the runs that are finished. A file may be another run's, whose params are the same.

    Args:
        files: of each run: its variant, its budget, and where its result lies.
    """
    for variant, budget, path in files:
        if path.exists():
            result = load_document(RunResult, path, "`gpd ablate` writes it")
            yield result.model_copy(update={"variant": variant, "budget": budget, "key": path.stem})


def make_row(planned: Planned, results: list[RunResult]) -> AblationRow:
    """A variant at one budget: means over its runs, at least one."""
    first = results[0]
    values = [with_agreement(result.metrics) for result in results]
    return AblationRow(
        variant=planned.name,
        origin=planned.origin,
        group=planned.variant.group,
        label=planned.variant.label,
        family=planned.family,
        steps=first.steps,
        stages=[stage.stage for stage in first.stages],
        learning_rate=planned.learning_rate,
        is_swept=planned.is_swept,
        commit=first.commit,
        runs=[result.key for result in results],
        made=[result.made or result.key for result in results] if any(result.made for result in results) else [],
        budget=first.budget,
        num_seeds=len(results),
        sampling_forwards=first.sampling_forwards,
        training_forwards=round(float(np.mean([result.training_forwards for result in results]))),
        protocol=first.protocol,
        metrics={metric: spread([value[metric] for value in values]) for metric in values[0]},
    )


def make_floors(evaluations: list[Evaluation]) -> list[AblationFloor]:
    """The undistilled teacher, less the reference itself."""
    subjects = {name: scores for evaluation in evaluations for name, scores in evaluation.subjects.items()}
    return [_floor(name, scores) for name, scores in subjects.items() if COMPARED in scores.metrics]


def _floor(name: str, scores: SubjectScores) -> AblationFloor:
    values = with_agreement({metric: score.value for metric, score in scores.metrics.items()})
    metrics = {metric: Spread(mean=value) for metric, value in values.items()}
    return AblationFloor(
        label=name, solver=scores.solver, steps=scores.steps, sampling_forwards=scores.forwards, metrics=metrics
    )


def with_agreement(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics, and the mean of the caption's properties as one figure if they were read."""
    read = [value for name, value in metrics.items() if name.startswith(f"{AGREEMENT}_")]
    return metrics | ({AGREEMENT: sum(read) / len(read)} if read else {})


def spread(values: list[float]) -> Spread:
    """Mean and sample standard deviation over seeds, six digits; no deviation of a single seed."""
    deviation = float(f"{np.std(values, ddof=1):.6g}") if len(values) > 1 else None
    return Spread(mean=float(f"{np.mean(values):.6g}"), std=deviation)
