"""The runs of a grid: each variant at each budget and seed, as overrides of params.yaml."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gpd.ablation.grid import GRID_FILE, AblationGrid, Variant
from gpd.ablation.variants import Planned, all_variants
from gpd.artifacts import UserError
from gpd.distillation.costs import fill_forwards, forwards_per_sample
from gpd.distillation.objectives import check_objective
from gpd.params import Params, explain, num_student_steps, override, student_path

Overrides = dict[str, Any]  # values by dotted keys of params.yaml


@dataclass(frozen=True)
class Run:
    """One training and its evaluation."""

    variant: str
    budget: int
    seed: int
    overrides: Overrides
    params: Params

    @property
    def name(self) -> str:
        """For people: `doubling 30000 seed 1`."""
        return f"{self.variant} {self.budget} seed {self.seed}"

    @property
    def last_stage(self) -> str:
        """The stage whose student is evaluated."""
        return list(self.params.distill.stages)[-1]


def base_params(grid: AblationGrid, params: Params) -> Params:
    """Those of the data and the reference that all runs share, and of the undistilled teacher.

    Raises:
        UserError: a key of the grid does not exist or its value is not allowed.
    """
    path, scale = params.model.path, params.sample.reference.guidance_scale
    guided = {"checkpoint": path, "solver": "euler", "guidance_scale": scale}
    floors = {f"teacher-{steps}": {**guided, "steps": steps} for steps in grid.floors}
    subjects = {name: subject.model_dump() for name, subject in params.sample.subjects.items()}
    return _with(params, {**grid.common, "sample.subjects": subjects | floors}, "common")


def make_runs(grid: AblationGrid, params: Params) -> Iterator[Run]:
    """Every run of the grid: all of the first seed in the order of the file, then all of the next, less the trials.

    Raises:
        UserError: a variant's keys or stages are not allowed.
    """
    for seed in grid.seeds:
        for name, planned in all_variants(grid).items():
            if planned.is_trial and seed != grid.seeds[0]:
                continue
            for budget in planned.variant.budgets or [grid.budget]:
                overrides = make_overrides(grid, params, planned, budget, seed)
                yield Run(name, budget, seed, overrides, _with(params, overrides, f"variants.{name}"))


def make_overrides(grid: AblationGrid, params: Params, planned: Planned, budget: int, seed: int) -> Overrides:
    """Those of one run: the common keys, the variant's, and stages that spend the budget."""
    variant, where = planned.variant, f"variants.{planned.name}"
    stages = _stages(grid, planned, params.model.path)
    final = variant.stages[0 if planned.are_all_final else -1].horizon
    chosen = {
        **grid.common,
        "distill.final_steps": num_student_steps(params.model.grid_steps, final),
        **variant.set,
        "distill.seed": seed,
        "distill.stages": stages,
        **_measured(params, stages),
    }
    checked = _with(params, chosen, where)
    check_objective(checked.distill, f"{GRID_FILE}: {where}")
    for stage, iterations in zip(stages.values(), _iterations(checked, variant, budget), strict=True):
        stage["iterations"] = iterations
    return chosen


def _stages(grid: AblationGrid, planned: Planned, previous: str) -> dict[str, dict[str, Any]]:
    """A variant's stages, of one iteration each until their costs are reckoned."""
    stages = {}
    for stage in planned.variant.stages:
        own = {} if stage.objective is None else {"objective": stage.objective}
        name = "-".join([f"k{stage.horizon}", *own.values()])
        stages[name] = own | {
            "horizon": stage.horizon,
            "tail": stage.tail,
            "previous": previous,
            "iterations": 1,
            "batch": stage.batch or grid.batch,
            "learning_rate": stage.learning_rate or planned.learning_rate,
        }
        previous = student_path(name)
    return stages


def _measured(params: Params, stages: dict[str, dict[str, Any]]) -> Overrides:
    """What is sampled and measured: the params' own undistilled subjects, and the run's students."""
    subjects = {
        name: subject.model_dump()
        for name, subject in params.sample.subjects.items()
        if subject.checkpoint == params.model.path
    }
    for name, stage in stages.items():
        steps = num_student_steps(params.model.grid_steps, stage["horizon"])
        subjects[name] = {"checkpoint": student_path(name), "steps": steps, "solver": "euler", "guidance_scale": 1.0}
    return {"sample.subjects": subjects}


def _iterations(params: Params, variant: Variant, budget: int) -> Iterator[int]:
    """Of each stage: what is left of its share when its pool is filled, over what an iteration costs; at least one."""
    distill, grid_steps, previous_horizon = params.distill, params.model.grid_steps, 0
    for wanted, stage in zip(variant.stages, distill.stages.values(), strict=True):
        left = wanted.share * budget - fill_forwards(distill, stage, grid_steps)
        cost = stage.batch * forwards_per_sample(distill, stage, previous_horizon, grid_steps)
        yield max(1, math.floor(left / cost))
        previous_horizon = stage.horizon


def _with(params: Params, overrides: Overrides, where: str) -> Params:
    raw = override(params.model_dump(), overrides, f"{GRID_FILE}: {where}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(GRID_FILE, error, f"{where}: ")) from None
