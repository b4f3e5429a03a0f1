"""Curves of every stage and subject as two tables, a point a line: what `dvc plots` draws and other tools read."""

import csv
from collections.abc import Iterable
from pathlib import Path

from gpd.report.outcome import Outcome

TRAINING, TRAJECTORIES = "training.csv", "trajectories.csv"


def write_curves(folder: Path, outcome: Outcome) -> None:
    """`curve` is the name of a stage or a subject."""
    losses = ((name, row["iteration"], row["loss"]) for name, rows in outcome.training.items() for row in rows)
    _write(folder / TRAINING, ("curve", "iteration", "loss"), losses)
    points = ((row["subject"], row["sigma"], row["forwards"], row["trajectory_error"]) for row in outcome.curves)
    _write(folder / TRAJECTORIES, ("curve", "sigma", "forwards", "trajectory_error"), points)


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
