"""The older address of `gpd.evaluation.score`."""

from gpd.evaluation.score import Score, Statistic, mean_of, over_seeds, ratio_of_means

__all__ = ["Score", "Statistic", "mean_of", "over_seeds", "ratio_of_means"]
