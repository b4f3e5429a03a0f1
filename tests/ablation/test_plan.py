from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from gpd.ablation.grid import GRID_FILE, AblationGrid, load_grid
from gpd.ablation.plan import base_params, make_runs
from gpd.ablation.runs import ROLES
from gpd.ablation.variants import all_variants
from gpd.artifacts import UserError
from gpd.distillation.trainer import train_stage
from gpd.params import Params, load_params, override
from tests.distillation.test_trainer import make_stage

ROOT = Path(__file__).parents[2]
GRID: dict[str, Any] = {
    "budget": 9120,
    "seeds": [3, 5],
    "batch": 16,
    "learning_rate": 1e-3,
    "common": {"distill.teacher_walk": {"solver": "euler", "stride": 1}, "distill.loss_weighting": "uniform"},
    "variants": {
        "one-shot": {"label": "one-shot", "group": "rivals", "stages": [{"horizon": 8, "tail": 8, "share": 1.0}]},
        "two": {
            "label": "two stages",
            "group": "rivals",
            "set": {"distill.ema_decay": 0.5},
            "stages": [
                {"horizon": 1, "tail": 1, "share": 0.5},
                {"horizon": 8, "tail": 1, "share": 0.5, "learning_rate": 1e-4, "batch": 8},
            ],
        },
    },
}


def params() -> Params:
    return load_params(ROOT / "params.yaml")


def test_every_variant_runs_once_for_each_seed() -> None:
    runs = list(make_runs(AblationGrid.model_validate(GRID), params()))
    assert [(run.variant, run.seed) for run in runs] == [("one-shot", 3), ("two", 3), ("one-shot", 5), ("two", 5)]
    assert [run.params.distill.seed for run in runs] == [3, 3, 5, 5]
    assert [run.params.distill.ema_decay for run in runs] == [params().distill.ema_decay, 0.5] * 2


def test_iterations_spend_the_budget_by_hand() -> None:
    one_shot, two, *_ = make_runs(AblationGrid.model_validate(GRID), params())
    # The pool: 192 slots at 0, 8 .. 40, which are 0 .. 5 evaluations away, two forwards each by the guided teacher.
    # A sample: 8 guided evaluations, 3 of the student.
    assert one_shot.params.distill.stages["k8"].iterations == (9120 - 960) // (16 * 19)
    stages = two.params.distill.stages
    # 4 slots at each of 0 .. 47, 162 evaluations away in all; 2 forwards of the teacher, 3 of the student
    assert stages["k1"].iterations == (4560 - 2 * 4 * 162) // (16 * 5)
    assert stages["k8"].iterations == (4560 - 480) // (8 * 12)  # k1 walks alone; 7 jumps of it, 2, 3
    assert (stages["k8"].learning_rate, stages["k8"].batch, stages["k8"].previous) == (1e-4, 8, "data/students/k1")


def test_floors_are_the_guided_teacher_in_fewer_steps() -> None:
    grid = AblationGrid.model_validate({**GRID, "floors": [3, 1]})
    subjects = base_params(grid, params()).sample.subjects
    found = [(subjects[f"teacher-{n}"].steps, subjects[f"teacher-{n}"].guidance_scale) for n in grid.floors]
    assert found == [(3, 3.0), (1, 3.0)]


def test_a_run_is_its_overrides_of_the_params() -> None:
    for run in make_runs(AblationGrid.model_validate(GRID), params()):
        assert Params.model_validate(override(params().model_dump(), run.overrides, "x")) == run.params


def test_budgets_make_a_curve() -> None:
    variant = {**GRID["variants"]["one-shot"], "budgets": [3040, 9120]}
    grid = AblationGrid.model_validate({**GRID, "variants": {"one-shot": variant}})
    assert [(run.budget, run.params.distill.stages["k8"].iterations) for run in make_runs(grid, params())] == [
        (3040, 6),
        (9120, 26),
        (3040, 6),
        (9120, 26),
    ]


def test_states_without_a_pool_have_no_pool_to_fill() -> None:
    clips = {"distill.states": {"stream": 0.0, "clips": 1.0, "rollouts": 0.0}}
    grid = AblationGrid.model_validate({**GRID, "variants": {"x": {**GRID["variants"]["one-shot"], "set": clips}}})
    assert next(make_runs(grid, params())).params.distill.stages["k8"].iterations == 9120 // (16 * 19)


def test_a_share_that_the_pool_eats_is_still_one_iteration() -> None:
    grid = AblationGrid.model_validate({**GRID, "budget": 100})
    assert {stage.iterations for run in make_runs(grid, params()) for stage in run.params.distill.stages.values()} == {
        1
    }


@pytest.mark.parametrize("stream", [1.0, 0.5])
def test_three_stages_spend_the_budget_that_they_were_given(tmp_path: Path, stream: float) -> None:
    stages = [{"horizon": horizon, "tail": 1, "share": 1 / 3} for horizon in (1, 5, 8)]
    states = {"distill.states": {"stream": stream, "clips": 1 - stream, "rollouts": 0.0}}
    variant = {"label": "three", "group": "rivals", "set": states, "stages": stages}
    grid = AblationGrid.model_validate({**GRID, "budget": 15_000, "variants": {"three": variant}})
    run = next(make_runs(grid, params()))
    spent = 0
    for name, stage in run.params.distill.stages.items():
        toy = make_stage(tmp_path / name, stage.horizon, 1, stage.iterations)
        previous_horizon = {1: 0, 5: 1, 8: 5}[stage.horizon]
        toy = replace(toy, params=stage, distill=run.params.distill, previous_horizon=previous_horizon)
        forwards = train_stage(toy, Accelerator(cpu=True))[1].forwards
        spent += sum(forwards[role] for role in ROLES)
    assert spent == pytest.approx(15_000, rel=0.02)


def test_the_committed_grid_is_valid_and_its_variants_differ() -> None:
    grid = load_grid(ROOT / GRID_FILE)
    base_params(grid, params())
    firsts = [run for run in make_runs(grid, params()) if run.seed == grid.seeds[0]]
    variants = all_variants(grid)
    runs = [
        run for run in firsts if variants[run.variant].variant.group not in ("budget", "steps")
    ]  # curves share points
    assert len(grid.seeds) >= 3
    settings = [run.params.distill.model_dump_json() for run in runs]
    assert len(set(settings)) == len(settings)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"set": {"distill.speed": 3}},
            "variants.x: distill.speed=3: params.yaml has no 'speed' there; it has final_steps",
        ),
        ({"set": {"distill.ema_decay": 2.0}}, "variants.x: distill.ema_decay=2.0"),
        ({"set": {"distill.states.rollouts": 1.0}}, "variants.x: distill.states: stream"),
        ({"stages": [{"horizon": 5, "tail": 5, "share": 1.0}]}, "variants.x: distill.final_steps=10 does not divide"),
    ],
)
def test_a_variant_that_cannot_run_is_named(part: dict[str, Any], message: str) -> None:
    variant = {**GRID["variants"]["one-shot"], **part}
    grid = AblationGrid.model_validate({**GRID, "variants": {"x": variant}})
    with pytest.raises(UserError, match=message):
        list(make_runs(grid, params()))
