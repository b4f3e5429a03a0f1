import numpy as np
import pytest

from gpd.evaluation.score import Score, mean_of, over_seeds, ratio_of_means

SEEDS = np.array([0, 0, 1, 1])


def test_mean_and_spread_by_hand() -> None:
    """Seed means 2 and 6: their standard deviation is sqrt(8)."""
    assert over_seeds(mean_of(np.array([1.0, 3.0, 5.0, 7.0])), SEEDS) == Score(4.0, 4, pytest.approx(8**0.5))


def test_one_seed_has_no_spread() -> None:
    assert over_seeds(mean_of(np.ones(4)), np.zeros(4)) == Score(1.0, 4, None)


def test_ratio_is_of_means() -> None:
    statistic = ratio_of_means(np.array([1.0, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0, 8.0]), 0.0)
    score = over_seeds(statistic, SEEDS)
    assert score == Score(0.5, 4, 0.0)


def test_no_ratio_to_nearly_nothing() -> None:
    assert over_seeds(ratio_of_means(np.ones(4), np.full(4, 0.04), 0.05), SEEDS) is None


def test_a_statistic_that_seeds_are_too_few_for_has_no_spread() -> None:
    assert over_seeds(lambda rows: 1.0 if len(rows) == 4 else None, SEEDS) == Score(1.0, 4, None)
