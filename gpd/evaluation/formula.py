"""From rows of single samples to one figure over them: a mean, a ratio of means. Frechet's is beside its distance."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from gpd.evaluation.score import Statistic, mean_of, ratio_of_means


class Formula(ABC):
    """What a metric makes of its rows."""

    @abstractmethod
    def statistic(self, rows: np.ndarray, others: np.ndarray | None, is_paired: bool) -> Statistic | None:
        """The figure as a function of which rows to look at, so that its spread over seeds can be had.

        Args:
            rows: of the subject, [N] or [N, D].
            others: what it is set against, [M] or [M, D]; None if there is nothing.
            is_paired: row n of both is of the same prompt and noise, and M = N.

        Returns:
            None if the formula needs `others` and there are none.
        """

    def shortfall(self, rows: np.ndarray, others: np.ndarray) -> str:
        """Why there is no figure although both sides were measured."""
        return f"the mean of {len(rows)} clips is {rows.mean():g}, which is no figure"


@dataclass(frozen=True)
class Mean(Formula):
    """The mean over samples; nothing is set against it."""

    def statistic(self, rows: np.ndarray, others: np.ndarray | None, is_paired: bool) -> Statistic | None:
        """The mean over the rows [N]."""
        return mean_of(rows)


@dataclass(frozen=True)
class Ratio(Formula):
    """Mean over the others' mean, which must exceed `floor` for a ratio to mean anything."""

    floor: float = 0.0

    def statistic(self, rows: np.ndarray, others: np.ndarray | None, is_paired: bool) -> Statistic | None:
        """The ratio of means over the rows [N]; without pairs, to the mean of all others [M]."""
        if others is None:
            return None
        return ratio_of_means(rows, others if is_paired else np.full(len(rows), others.mean()), self.floor)

    def shortfall(self, rows: np.ndarray, others: np.ndarray) -> str:
        """The reference is not above the floor."""
        return f"the reference has {others.mean():.3g}, needs more than {self.floor:g}"
