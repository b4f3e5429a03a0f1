"""The declared grid of an ablation, and the params of each of its runs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from gpd.artifacts import UserError
from gpd.distillation.costs import fill_forwards, forwards_per_sample
from gpd.distillation.objectives import check_objective
from gpd.params import NotNegative, Params, Positive, Section, Seed, Share, explain, num_student_steps, student_path

GRID_FILE = Path("data/ablation/grid.yaml")


class StageShare(Section):
    """One stage of a variant; its iterations follow from its share of the budget."""

    horizon: Positive
    tail: NotNegative
    share: Share
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    batch: Positive | None = None


class Variant(Section):
    """One row of the table.

    Attributes:
        label: what it is, in the words of the field.
        group: the axis of the ablation that it lies on; "rivals" stand in the report, too.
        set: dotted keys over params.yaml.
        budgets: training forwards of its runs; the grid's one budget where there are none.
    """

    label: str
    group: str
    set: dict[str, Any] = Field(default_factory=dict)
    stages: Annotated[list[StageShare], Field(min_length=1)]
    budgets: list[Positive] = Field(default_factory=list)


class AblationGrid(Section):
    """All that `gpd ablate` runs."""

    budget: Positive
    seeds: Annotated[list[Seed], Field(min_length=2)]
    batch: Positive
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    common: dict[str, Any]
    variants: Annotated[dict[str, Variant], Field(min_length=1)]


@dataclass(frozen=True)
class Run:
    """One training and its evaluation."""

    variant: str
    budget: int
    seed: int
    params: Params

    @property
    def name(self) -> str:
        """For people: `doubling 30000 seed 1`."""
        return f"{self.variant} {self.budget} seed {self.seed}"

    @property
    def last_stage(self) -> str:
        """The stage whose student is evaluated."""
        return list(self.params.distill.stages)[-1]


def load_grid(path: Path = GRID_FILE) -> AblationGrid:
    """Reads and checks the grid file.

    Raises:
        UserError: file, key, value and what is wrong, one line for each mistake.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return AblationGrid.model_validate(raw)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it declares what `gpd ablate` runs") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise UserError(explain(path, error)) from None


def base_params(grid: AblationGrid, params: Params) -> Params:
    """Those of the data and the reference that all runs share.

    Raises:
        UserError: a key of the grid does not exist or its value is not allowed.
    """
    raw = params.model_dump()
    _set_all(raw, grid.common, "common")
    return _checked(raw, "common")


def make_runs(grid: AblationGrid, params: Params) -> Iterator[Run]:
    """Every run of the grid, in the order of the file, seed by seed.

    Raises:
        UserError: a variant's keys or stages are not allowed.
    """
    for name, variant in grid.variants.items():
        for budget in variant.budgets or [grid.budget]:
            for seed in grid.seeds:
                yield Run(name, budget, seed, run_params(grid, params, name, budget, seed))


def run_params(grid: AblationGrid, params: Params, name: str, budget: int, seed: int) -> Params:
    """The params of one run: the common keys, the variant's, and stages that spend the budget."""
    variant, where = grid.variants[name], f"variants.{name}"
    raw = params.model_dump()
    _set_all(raw, grid.common, "common")
    _set_all(raw, variant.set, where)
    raw["distill"]["seed"] = seed
    raw["distill"]["stages"] = stages = _stages(grid, variant, raw["model"]["path"])
    raw["sample"]["subjects"] = _subjects(params, stages)
    previous_horizon = 0
    checked = _checked(raw, where)
    check_objective(checked.distill, f"{GRID_FILE}: {where}")
    distill, grid_steps = checked.distill, checked.model.grid_steps
    for wanted, (key, stage) in zip(variant.stages, distill.stages.items(), strict=True):
        left = wanted.share * budget - fill_forwards(distill, stage, grid_steps)
        cost = stage.batch * forwards_per_sample(distill, stage, previous_horizon, grid_steps)
        stages[key]["iterations"] = max(1, math.floor(left / cost))
        previous_horizon = stage.horizon
    return _checked(raw, where)


def _subjects(params: Params, stages: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The params' own undistilled subjects, and the run's students."""
    kept = {
        name: subject.model_dump()
        for name, subject in params.sample.subjects.items()
        if subject.checkpoint == params.model.path
    }
    for name, stage in stages.items():
        steps = num_student_steps(params.model.grid_steps, stage["horizon"])
        kept[name] = {"checkpoint": student_path(name), "steps": steps, "solver": "euler", "guidance_scale": 1.0}
    return kept


def _stages(grid: AblationGrid, variant: Variant, previous: str) -> dict[str, dict[str, Any]]:
    stages = {}
    for stage in variant.stages:
        name = f"k{stage.horizon}"
        stages[name] = {
            "horizon": stage.horizon,
            "tail": stage.tail,
            "previous": previous,
            "iterations": 1,
            "batch": stage.batch or grid.batch,
            "learning_rate": stage.learning_rate or grid.learning_rate,
        }
        previous = student_path(name)
    return stages


def _checked(raw: dict[str, Any], where: str) -> Params:
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(GRID_FILE, error, f"{where}: ")) from None


def _set_all(raw: dict[str, Any], changes: dict[str, Any], where: str) -> None:
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        section: Any = raw
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise UserError(f"{GRID_FILE}: {where}: {dotted}={value!r}: params.yaml has no such key")
        section[last] = value
