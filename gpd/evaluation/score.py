"""From values of single samples to a figure with its spread."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# (rows of the samples to look at) -> the figure over them, None if there is none
Statistic = Callable[[np.ndarray], float | None]


@dataclass(frozen=True)
class Score:
    """A figure over all samples; `spread` is its standard deviation over seeds, None with a single seed."""

    value: float
    num_samples: int
    spread: float | None


def over_seeds(statistic: Statistic, seeds: np.ndarray) -> Score | None:
    """The score of a statistic over samples [N] whose noise seeds are `seeds` [N]; None if it has no value."""
    value = statistic(np.arange(len(seeds)))
    if value is None or not np.isfinite(value):
        return None
    return Score(float(value), len(seeds), _spread(statistic, seeds))


def _spread(statistic: Statistic, seeds: np.ndarray) -> float | None:
    values = [statistic(np.flatnonzero(seeds == seed)) for seed in np.unique(seeds)]
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.std(known, ddof=1)) if 1 < len(known) == len(values) else None


def mean_of(values: np.ndarray) -> Statistic:
    """The mean of values [N]."""
    return lambda rows: float(values[rows].mean())


def ratio_of_means(values: np.ndarray, reference: np.ndarray, floor: float) -> Statistic:
    """Mean of values [N] over the mean of the reference's; None if the latter is not above `floor`.

    A ratio of means, not a mean of ratios: one sample whose reference hardly moves must not decide.
    """

    def statistic(rows: np.ndarray) -> float | None:
        below = float(reference[rows].mean())
        return float(values[rows].mean()) / below if below > floor else None

    return statistic
