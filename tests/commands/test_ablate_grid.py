from pathlib import Path
from typing import Any

import pytest
import yaml

from gpd.artifacts import UserError
from gpd.commands.ablate_grid import GRID_FILE, AblationGrid, base_params, load_grid, make_runs
from gpd.params import Params, load_params

ROOT = Path(__file__).parents[2]
GRID: dict[str, Any] = {
    "budget": 9120,
    "seeds": [3, 5],
    "batch": 16,
    "learning_rate": 1e-3,
    "common": {"distill.tail": {"solver": "euler", "stride": 1}, "distill.loss_weighting": "uniform"},
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


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**GRID, **changes}))
    return path


def test_every_variant_runs_once_for_each_seed() -> None:
    runs = list(make_runs(AblationGrid.model_validate(GRID), params()))
    assert [(run.variant, run.seed) for run in runs] == [("one-shot", 3), ("one-shot", 5), ("two", 3), ("two", 5)]
    assert [run.params.distill.seed for run in runs] == [3, 5, 3, 5]
    assert [run.params.distill.ema_decay for run in runs] == [params().distill.ema_decay] * 2 + [0.5] * 2


def test_iterations_spend_the_budget_by_hand() -> None:
    one_shot, _, two, _ = make_runs(AblationGrid.model_validate(GRID), params())
    assert one_shot.params.distill.stages["k8"].iterations == 30  # 16 samples x (8 guided forwards, 3 of the student)
    stages = two.params.distill.stages
    assert stages["k1"].iterations == 57  # 4560 / (16 x (2 + 3))
    assert stages["k8"].iterations == 47  # 4560 / (8 x (7 jumps of k1, 2, 3)), rounded down
    assert (stages["k8"].learning_rate, stages["k8"].batch, stages["k8"].previous) == (1e-4, 8, "data/students/k1")


def test_budgets_make_a_curve() -> None:
    variant = {**GRID["variants"]["one-shot"], "budgets": [3040, 9120]}
    grid = AblationGrid.model_validate({**GRID, "variants": {"one-shot": variant}})
    assert [(run.budget, run.params.distill.stages["k8"].iterations) for run in make_runs(grid, params())] == [
        (3040, 10),
        (3040, 10),
        (9120, 30),
        (9120, 30),
    ]


def test_the_committed_grid_is_valid_and_its_variants_differ() -> None:
    grid = load_grid(ROOT / GRID_FILE)
    base_params(grid, params())
    runs = [run for run in make_runs(grid, params()) if run.seed == grid.seeds[0]]
    assert len(grid.seeds) >= 3
    settings = [run.params.distill.model_dump_json() for run in runs]
    assert len(set(settings)) == len(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": 3}, "budgets: unknown key"),
        ({"seeds": [1]}, r"seeds=\[1\]"),
        ({"variants": {}}, "variants={}"),
    ],
)
def test_a_mistake_in_the_grid_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"grid.yaml: {message}"):
        load_grid(write(tmp_path, **changes))


def test_a_missing_grid_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        load_grid(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"set": {"distill.speed": 3}}, "variants.x: distill.speed=3: params.yaml has no such key"),
        ({"set": {"distill.ema_decay": 2.0}}, "variants.x: distill.ema_decay=2.0"),
        ({"set": {"distill.states.rollouts": 1.0}}, "variants.x: distill.states: stream"),
        ({"stages": [{"horizon": 4, "tail": 4, "share": 1.0}]}, "variants.x: distill.stages ends at horizon 4"),
    ],
)
def test_a_variant_that_cannot_run_is_named(part: dict[str, Any], message: str) -> None:
    variant = {**GRID["variants"]["one-shot"], **part}
    grid = AblationGrid.model_validate({**GRID, "variants": {"x": variant}})
    with pytest.raises(UserError, match=message):
        list(make_runs(grid, params()))
