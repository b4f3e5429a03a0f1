"""Params for tests that need several stages, whatever the default curriculum is."""

from typing import Any

import yaml

from gpd.models.use import profile_text
from gpd.params import num_student_steps

DOUBLING = (1, 2, 4, 8)


def doubling(raw: dict[str, Any]) -> None:
    """Makes the stages k1 k2 k4 k8, with an Euler tail of one interval, and samples all of them."""
    stages, previous = {}, raw["model"]["path"]
    for horizon in DOUBLING:
        stage = {"horizon": horizon, "tail": 1, "previous": previous}
        stages[f"k{horizon}"] = {**stage, "iterations": 30, "batch": 6, "learning_rate": 1e-3}
        previous = f"data/students/k{horizon}"
    raw["distill"] |= {"stages": stages, "teacher_walk": {"solver": "euler", "stride": 1}}
    raw["distill"] |= {"loss_weighting": "uniform", "final_steps": 6}
    raw["sample"]["subjects"] = undistilled(raw) | {
        f"k{horizon}": student_subject(horizon, raw["model"]["grid_steps"]) for horizon in DOUBLING
    }


def undistilled(raw: dict[str, Any]) -> dict[str, Any]:
    """The reference and the baselines of these params."""
    path = raw["model"]["path"]
    return {name: subject for name, subject in raw["sample"]["subjects"].items() if subject["checkpoint"] == path}


def student_subject(horizon: int, grid_steps: int = 48) -> dict[str, Any]:
    """How the student of a horizon is sampled."""
    checkpoint, steps = f"data/students/k{horizon}", num_student_steps(grid_steps, horizon)
    return {"checkpoint": checkpoint, "steps": steps, "solver": "euler", "guidance_scale": 1.0}


def doubling_profile() -> dict[str, Any]:
    """The miniature's profile with those stages."""
    raw: dict[str, Any] = yaml.safe_load(profile_text("tiny-wan"))
    doubling(raw)
    return raw
