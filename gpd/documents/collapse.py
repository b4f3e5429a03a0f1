"""When a student has collapsed: it hardly moves or has no detail, or noise in their place, whatever its other scores.

A blurred, frozen clip is near to every other one, so distances alone may rank it high.
"""

from collections.abc import Mapping

# Over the reference's. Whatever was measured on the miniature, 70 runs of ten methods with the worst of them, lies
# between .58 (the teacher in six steps without guidance, detail in time) and 1.24: a third and three times are no draw.
LOWEST, HIGHEST = 1 / 3, 3.0
RATIOS = ("motion_ratio", "motion_top_ratio", "spectral_space_ratio", "spectral_time_ratio")


def signs_of_collapse(metrics: Mapping[str, float]) -> list[str]:
    """Which ratios are outside the bounds, in words; none for a student that is whole."""
    return [
        f"{name} is {metrics[name]:.3g}, outside {LOWEST:.2f} to {HIGHEST:g}"
        for name in RATIOS
        if name in metrics and not LOWEST <= metrics[name] <= HIGHEST
    ]
