import pytest

from gpd.ablation.curves import crossing, crossings
from tests.ablation.rows import floor, results, row


def test_a_curve_crosses_a_floor_halfway_on_the_logarithmic_axis() -> None:
    curve = [(100.0, 0.4), (10_000.0, 0.2), (20_000.0, 0.1)]
    assert crossing(curve, 0.3) == pytest.approx(1000)
    assert crossing(curve, 0.2) == pytest.approx(10_000)
    assert crossing(curve, 0.15) == pytest.approx(20_000 / 2**0.5)
    assert crossing(curve, 0.5) == 100
    assert crossing(curve, 0.05) is None


def test_crossings_are_told_of_curves_alone() -> None:
    rows = [row("curve", 0.4, training=100), row("curve", 0.2, training=10_000), row("point", 0.1)]
    assert crossings(results(rows, [floor("teacher-6", 0.3)])) == [["curve", "teacher-6", "1,000", "by 100"]]
    assert crossings(results(rows, [floor("teacher-48", 0.1)]))[0][2] == "not by 10,000"
    assert crossings(results(rows, [floor("teacher-1", 0.5)])) == []  # never above it
