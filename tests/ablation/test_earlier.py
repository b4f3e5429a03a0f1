"""Which rows of an earlier results.json stay beside new ones."""

from gpd.ablation.earlier import join_rows
from gpd.ablation.grid import AblationGrid
from gpd.ablation.variants import all_variants
from tests.ablation.rows import row
from tests.ablation.test_plan import GRID

VARIANTS = all_variants(AblationGrid.model_validate({**GRID, "learning_rates": {"two": [2e-4, 5e-4]}}))
SWEPT = {"variant": "two@0.0002", "origin": "two", "is_swept": True}


def test_a_row_of_other_code_stays_until_it_is_run_again_and_is_marked() -> None:
    earlier = [row("one-shot", 0.2)]
    (kept,) = join_rows([], earlier, VARIANTS, present={"another"})
    assert kept.is_stale
    (new,) = join_rows([row("one-shot", 0.1, num_seeds=1)], earlier, VARIANTS, present={"another"})
    assert new.metrics["trajectory_error"].mean == 0.1
    assert not new.is_stale


def test_a_row_of_another_machine_but_of_these_runs_is_not_stale() -> None:
    earlier = [row("one-shot", 0.2, is_stale=True)]
    (kept,) = join_rows([], earlier, VARIANTS, present={"one-shot", "another"})
    assert not kept.is_stale
    (best,) = join_rows([row("one-shot", 0.1, num_seeds=1)], earlier, VARIANTS, present={"one-shot"})
    assert best.num_seeds == 3


def test_a_variant_that_is_swept_now_replaces_its_single_row() -> None:
    earlier = [row("two", 0.2, runs=[])]
    assert [one.variant for one in join_rows([], earlier, VARIANTS, set())] == ["two"]
    swept = row("two at a rate", 0.1, **SWEPT)
    assert [one.variant for one in join_rows([swept], earlier, VARIANTS, set())] == ["two@0.0002"]
    assert join_rows([], [row("gone", 0.1)], VARIANTS, set()) == []


def test_rows_come_in_the_order_of_the_grid() -> None:
    rows = join_rows([row("two at a rate", 0.1, **SWEPT)], [row("one-shot", 0.2)], VARIANTS, set())
    assert [one.variant for one in rows] == ["one-shot", "two@0.0002"]
