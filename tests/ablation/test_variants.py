"""What a grid opens into: sweeps over the learning rate and families of chains."""

from typing import Any

import pytest

from gpd.ablation.grid import AblationGrid
from gpd.ablation.plan import make_runs
from gpd.ablation.variants import all_variants, choose
from gpd.artifacts import UserError
from tests.ablation.test_plan import GRID, params

FAMILIES = {
    "begun": {"label": "begun", "chains": [[8], [4, 8, 16]], "last_share": 0.5},
    "jump": {"label": "jump", "chains": [[2, 3, 8]], "tail": "rest", "are_all_final": False},
    "heads": {"label": "heads", "set": {"distill.objective": "parallel"}, "chains": [[8]], "fold_share": 0.25},
}


def opened(**changes: Any) -> AblationGrid:
    return AblationGrid.model_validate({**GRID, "families": FAMILIES, **changes})


def test_a_variant_runs_at_each_of_its_learning_rates_and_at_the_first_with_every_seed() -> None:
    grid = AblationGrid.model_validate({**GRID, "learning_rates": {"two": [2e-4, 5e-4]}})
    assert list(all_variants(grid)) == ["one-shot", "two@0.0002", "two@0.0005"]
    runs = list(make_runs(grid, params()))
    rates = [stage.learning_rate for run in runs for stage in run.params.distill.stages.values()]
    assert rates == [1e-3, 2e-4, 1e-4, 5e-4, 1e-4, 1e-3, 2e-4, 1e-4]  # k8 of "two" names a rate and keeps it
    assert [(run.variant, run.seed) for run in runs][2:] == [("two@0.0005", 3), ("one-shot", 5), ("two@0.0002", 5)]


def test_a_family_runs_each_of_its_chains_at_each_of_its_learning_rates() -> None:
    grid = opened(learning_rates={"begun": [5e-4, 2e-4]})
    assert choose(grid, ["begun"]) == ["begun-k8@0.0005", "begun-k8@0.0002", "begun-k16@0.0005", "begun-k16@0.0002"]
    runs = [run for run in make_runs(grid, params()) if run.variant.startswith("begun-k16")]
    assert [(run.variant[-6:], run.seed) for run in runs] == [("0.0005", 3), ("0.0002", 3), ("0.0005", 5)]
    assert {stage.learning_rate for stage in runs[1].params.distill.stages.values()} == {2e-4}


def test_a_sweep_of_nothing_is_named() -> None:
    with pytest.raises(UserError, match=r"grid\.yaml: learning_rates\.three: variants and families have no such name"):
        all_variants(AblationGrid.model_validate({**GRID, "learning_rates": {"three": [2e-4, 5e-4]}}))


def test_a_family_has_a_variant_for_each_of_its_chains() -> None:
    planned = all_variants(opened())
    assert list(planned)[2:] == ["begun-k8", "begun-k16", "jump-k8", "heads-k8"]
    stages = {name: [(s.horizon, s.tail, s.share) for s in planned[name].variant.stages] for name in list(planned)[2:]}
    assert stages["begun-k8"] == [(8, 8, 1.0)]
    assert stages["begun-k16"] == [(4, 4, 0.25), (8, 8, 0.25), (16, 16, 0.5)]
    assert [(horizon, tail) for horizon, tail, _ in stages["jump-k8"]] == [(2, 2), (3, 1), (8, 5)]
    assert [share for _, _, share in stages["jump-k8"]] == pytest.approx([1 / 3] * 3)
    assert [(s.objective, s.share) for s in planned["heads-k8"].variant.stages] == [(None, 0.75), ("fold", 0.25)]


def test_a_familys_students_are_final_or_its_last_alone() -> None:
    final = {run.variant: run.params.distill.final_steps for run in make_runs(opened(), params())}
    assert final == {"one-shot": 6, "two": 6, "begun-k8": 6, "begun-k16": 12, "jump-k8": 6, "heads-k8": 6}


def test_a_fold_is_what_is_measured_of_heads() -> None:
    run = next(run for run in make_runs(opened(), params()) if run.variant == "heads-k8")
    assert run.last_stage == "k8-fold"
    assert run.params.sample.subjects["k8-fold"].steps == 6


def test_what_runs_is_chosen_by_variant_sweep_family_or_group_in_the_grids_order() -> None:
    grid = opened(learning_rates={"two": [2e-4, 5e-4]})
    assert choose(grid, ["two"]) == ["two@0.0002", "two@0.0005"]
    assert choose(grid, ["begun-k8", "two@0.0005"]) == ["two@0.0005", "begun-k8"]
    assert choose(grid, ["begun"]) == ["begun-k8", "begun-k16"]
    assert choose(grid, ["steps"]) == ["begun-k8", "begun-k16", "jump-k8", "heads-k8"]
    assert choose(grid, []) == list(all_variants(grid))
    with pytest.raises(UserError, match=r"'three'; it has one-shot, two, begun, jump, heads; groups rivals, steps"):
        choose(grid, ["two", "three"])
