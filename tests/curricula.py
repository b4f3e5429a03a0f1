"""Params for tests that need several stages, whatever the default curriculum is."""

from typing import Any

import yaml

from gpd.models.use import profile_text

DOUBLING = (1, 2, 4, 8)


def doubling(raw: dict[str, Any]) -> None:
    """Makes the stages k1 k2 k4 k8, with an Euler tail of one interval, and evaluates all of them."""
    stages, previous = {}, raw["model"]["path"]
    for horizon in DOUBLING:
        stage = {"horizon": horizon, "tail": 1, "previous": previous}
        stages[f"k{horizon}"] = {**stage, "iterations": 30, "batch": 6, "learning_rate": 1e-3}
        previous = f"data/students/k{horizon}"
    raw["distill"] |= {"stages": stages, "teacher_walk": {"solver": "euler", "stride": 1}}
    raw["distill"] |= {"loss_weighting": "uniform", "optimizer": "adamw"}
    subjects = {name: {"checkpoint": f"data/students/{name}"} for name in stages}
    raw["evaluate"]["subjects"] = {"teacher": {"checkpoint": raw["model"]["path"]}, **subjects}


def doubling_profile() -> dict[str, Any]:
    """The miniature's profile with those stages."""
    raw: dict[str, Any] = yaml.safe_load(profile_text("tiny-wan"))
    doubling(raw)
    return raw
