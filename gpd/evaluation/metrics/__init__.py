"""What is measured on samples, paired with the guided teacher on the same prompt and noise. No learned weights.

A module here has functions of frames or latents and, as `METRICS`, the metrics that are made from them.
"""

import importlib
import pkgutil

from gpd.evaluation.metric import Metric

METRICS: dict[str, Metric] = {}  # in the order of tables


def find_metrics() -> dict[str, Metric]:
    """The metrics of all modules of this package by name: by place, then by module, then as the module lists them.

    Raises:
        ValueError: two have one name.
    """
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found = [metric for module in modules for metric in getattr(module, "METRICS", ())]
    names = [metric.name for metric in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two metrics of one name: {', '.join(sorted(names))}")
    return {metric.name: metric for metric in sorted(found, key=lambda metric: metric.place)}


METRICS.update(find_metrics())
