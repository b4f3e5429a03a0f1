"""The older address of `METRICS`."""

from gpd.evaluation import metrics

CATALOGUE = metrics.METRICS
