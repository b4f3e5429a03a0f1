"""The report's spectra and motion over time: where the ratios of detail and motion come from."""

import math
from itertools import pairwise
from typing import Any

from gpd.pages.chart import Series, line_chart
from gpd.report.charts import subject_colour
from gpd.report.outcome import Outcome

LABELS = {"space": "cycles a pixel", "time": "cycles a frame"}
TITLES = {"space": "Spectrum in space", "time": "Spectrum in time"}
NOTES = {
    "space": "Below the dashed line detail is missing (blur), above it there is too much (noise, grid).",
    "time": "Below the dashed line change is missing (smoothing), above it there is too much (flicker).",
}
MOTION = {"motion": "Motion over time", "motion_top": "Motion over time, fastest 5 % of pixels"}
MOST_POINTS = 40  # of a curve; the longer ones of large clips are averaged by octave parts


def make_profile_charts(outcome: Outcome) -> list[str]:
    """Spectra of reference, rival and lead; those of all over the reference's; motion by pair of frames."""
    charts = [make(outcome, axis) for axis in LABELS for make in (_spectrum_chart, _ratio_chart)]
    charts += [_motion_chart(outcome, key) for key in MOTION]
    return [chart for chart in charts if chart]


def _spectrum_chart(outcome: Outcome, axis: str) -> str:
    names = [name for name in outcome.line_up if name in outcome.profiles]
    curves = [(name, thinned(outcome.profiles[name][axis])) for name in names]
    series = [_curve(outcome, name, points) for name, points in curves]
    return line_chart(TITLES[axis], LABELS[axis], "power, squared grey levels", series, log_x=True, log_y=True)


def _ratio_chart(outcome: Outcome, axis: str) -> str:
    below = dict(thinned(outcome.profiles[outcome.reference][axis]))
    names = [name for name in _shown(outcome) if name != outcome.reference]
    series = []
    for name in names:
        points = [(x, power / below[x]) for x, power in thinned(outcome.profiles[name][axis]) if below.get(x, 0) > 0]
        series.append(_curve(outcome, name, points))
    return line_chart(
        f"{TITLES[axis]}, over the reference's",
        LABELS[axis],
        "power over the reference's",
        series,
        log_x=True,
        log_y=True,
        rule=1.0,
        note=NOTES[axis],
    )


def _motion_chart(outcome: Outcome, key: str) -> str:
    series = []
    for name in _shown(outcome):
        points = [(float(pair), value) for pair, value in enumerate(outcome.profiles[name][key], start=1)]
        series.append(_curve(outcome, name, points))
    note = (
        "Mean over the clips. Four frames share one latent frame: what every curve does at each fourth pair, "
        "the reference's too, is the VAE's doing."
    )
    return line_chart(MOTION[key], "pair of frames", "optical flow, px a frame", series, note=note)


def _curve(outcome: Outcome, name: str, points: list[tuple[float, float]]) -> Series:
    return Series(name, points, subject_colour(outcome, name), has_dots=False)


def _shown(outcome: Outcome) -> list[str]:
    """The reference, the baselines and, on top, the lead; earlier stages would hide them."""
    names = [outcome.reference, *outcome.baselines, outcome.lead]
    return [name for name in names if name is not None and name in outcome.profiles]


def thinned(spectrum: dict[str, Any]) -> list[tuple[float, float]]:
    """(frequency, power); of a fine spectrum the means over parts of equal width on the logarithmic axis."""
    points = list(zip(spectrum["frequency"], spectrum["power"], strict=True))
    if len(points) <= MOST_POINTS:
        return points
    span = math.log(points[-1][0] / points[0][0])
    edges = [points[0][0] * math.exp(span * part / MOST_POINTS) * 0.999999 for part in range(MOST_POINTS + 1)]
    edges[-1] *= 1.00001
    parts = [[point for point in points if low <= point[0] < high] for low, high in pairwise(edges)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts if part]
