"""The evaluations in a tree, read back: of the subjects in its params; git may hold others, of other params."""

import json
from pathlib import Path
from typing import Any

import yaml

COLUMNS = ("forwards", "trajectory_error", "frechet_latent", "motion_top_ratio", "spectral_space_ratio")
SHOWN_DIGITS = 4
TEACHER = "teacher"  # its evaluation, and the beginning of its baselines' names


def params_in(folder: Path) -> dict[str, Any]:
    """params.yaml of a tree, as plain values."""
    return dict(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8")))


def evaluated(folder: Path, file: str) -> list[Path]:
    """A file of each evaluation, in the order of the params; of those that are there."""
    paths = [folder / "data" / "evaluations" / name / file for name in params_in(folder)["evaluate"]["subjects"]]
    return [path for path in paths if path.is_file()]


def measurements(folder: Path) -> dict[str, dict[str, float]]:
    """Subject -> metric -> value, of all evaluations of a tree. A student is called as its evaluation is."""
    found: dict[str, dict[str, float]] = {}
    for path in evaluated(folder, "metrics.json"):
        subjects = json.loads(path.read_text(encoding="utf-8"))
        found |= subjects if path.parent.name == TEACHER else {path.parent.name: next(iter(subjects.values()))}
    return found


def result_rows(folder: Path) -> list[dict[str, Any]]:
    """One row a subject: the teacher's last, the cheapest first."""
    found = measurements(folder)
    names = sorted(found, key=lambda name: (name.startswith(TEACHER), found[name].get("forwards", 0.0), name))
    return [{"subject": name, **rounded(found[name])} for name in names]


def rounded(metrics: dict[str, float]) -> dict[str, float | str]:
    """The leading metrics; a metric that was not computed is a dash, not 0."""
    return {name: float(f"{metrics[name]:.{SHOWN_DIGITS}g}") if name in metrics else "-" for name in COLUMNS}
