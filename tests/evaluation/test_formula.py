import numpy as np
import pytest

from gpd.evaluation.formula import Mean, Ratio

ROWS = np.array([1.0, 2.0, 6.0])
OTHERS = np.array([2.0, 2.0, 8.0])
ALL = np.arange(3)


def test_mean_by_hand_with_and_without_others() -> None:
    for others in (OTHERS, None):
        statistic = Mean().statistic(ROWS, others, is_paired=True)
        assert statistic is not None
        assert statistic(ALL) == 3.0
        assert statistic(np.array([0, 2])) == 3.5


def test_ratio_of_pairs_takes_the_same_rows_of_both() -> None:
    statistic = Ratio().statistic(ROWS, OTHERS, is_paired=True)
    assert statistic is not None
    assert statistic(ALL) == 0.75
    assert statistic(np.array([0])) == 0.5


def test_ratio_without_pairs_is_to_the_mean_of_all_others() -> None:
    statistic = Ratio().statistic(ROWS, OTHERS[:2], is_paired=False)
    assert statistic is not None
    assert statistic(ALL) == 1.5
    assert statistic(np.array([2])) == 3.0


def test_no_ratio_to_nothing_or_to_less_than_the_floor() -> None:
    assert Ratio().statistic(ROWS, None, is_paired=True) is None
    statistic = Ratio(floor=4.0).statistic(ROWS, OTHERS, is_paired=True)
    assert statistic is not None
    assert statistic(ALL) is None
    assert "needs more than 4" in Ratio(floor=4.0).shortfall(ROWS, OTHERS)
    assert statistic(np.array([2])) == pytest.approx(0.75)
