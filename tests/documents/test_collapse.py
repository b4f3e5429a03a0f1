import json
from pathlib import Path

import pytest

from gpd.documents.collapse import HIGHEST, LOWEST, RATIOS, signs_of_collapse

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", RATIOS)
def test_each_ratio_counts_outside_its_bounds_and_on_them_not(name: str) -> None:
    assert signs_of_collapse({name: LOWEST}) == signs_of_collapse({name: HIGHEST}) == []
    for value in (0.0, LOWEST * 0.999, HIGHEST * 1.001, float("inf"), float("nan")):
        assert [sign.split()[0] for sign in signs_of_collapse({name: value})] == [name]


def test_other_metrics_and_missing_ones_say_nothing() -> None:
    assert signs_of_collapse({"psnr": 0.0, "trajectory_error": 1e9}) == []


def test_nothing_that_was_ever_measured_here_has_collapsed() -> None:
    """The bounds' reason: the worst of the ablation's methods and baselines lies within them."""
    results = json.loads((ROOT / "data/ablation/results.json").read_text())
    for row in [*results["rows"], *results["floors"]]:
        assert signs_of_collapse({name: found["mean"] for name, found in row["metrics"].items()}) == []
