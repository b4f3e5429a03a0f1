"""The report's spectra and motion over time: where the ratios of detail and motion come from."""

import math
from itertools import chain, pairwise

from gpd.documents import Spectrum, SubjectProfile
from gpd.pages.chart import Series, line_chart
from gpd.pages.html import Markup
from gpd.report.charts import subject_colour
from gpd.report.outcome import Outcome

LABELS = {"space": "cycles a pixel", "time": "cycles a frame"}
TITLES = {"space": "Spectrum in space", "time": "Spectrum in time"}
NOTES = {
    "space": "Below the dashed line detail is missing (blur), above it there is too much (noise, grid).",
    "time": "Below the dashed line change is missing (smoothing), above it there is too much (flicker).",
}
MOTION = {"motion": "Motion over time", "motion_top": "Motion over time, fastest 5 % of pixels"}
MOTION_NOTE = (
    "Mean over the clips. Four frames share one latent frame: what every curve does at each fourth pair, "
    "the reference's too, is the VAE's doing."
)
MOST_POINTS = 40  # of a curve; the longer ones of large clips are averaged by octave parts

Points = list[tuple[float, float]]


def make_profile_charts(outcome: Outcome) -> list[Markup]:
    """Spectra of the line-up, as they are and over the reference's; motion by pair of frames."""
    charts = [make(outcome, axis) for axis in LABELS for make in (_spectrum_chart, _ratio_chart)]
    return [*charts, *(_motion_chart(outcome, key) for key in MOTION)]


def _spectrum_chart(outcome: Outcome, axis: str) -> Markup:
    series = [_curve(outcome, name, _spectrum(outcome.profiles[name], axis)) for name in _shown(outcome)]
    return line_chart(TITLES[axis], LABELS[axis], "power, squared grey levels", series, log_x=True, log_y=True)


def _ratio_chart(outcome: Outcome, axis: str) -> Markup:
    below = dict(_spectrum(outcome.profiles[outcome.reference], axis))
    series = []
    for name in _shown(outcome)[1:]:
        points = [(x, power / below[x]) for x, power in _spectrum(outcome.profiles[name], axis) if below.get(x, 0) > 0]
        series.append(_curve(outcome, name, points))
    title, label = f"{TITLES[axis]}, over the reference's", "power over the reference's"
    return line_chart(title, LABELS[axis], label, series, log_x=True, log_y=True, rule=1.0, note=NOTES[axis])


def _motion_chart(outcome: Outcome, key: str) -> Markup:
    series = []
    for name in _shown(outcome):
        values: list[float] = getattr(outcome.profiles[name], key)
        series.append(_curve(outcome, name, [(float(pair), value) for pair, value in enumerate(values, start=1)]))
    return line_chart(MOTION[key], "pair of frames", "optical flow, px a frame", series, note=MOTION_NOTE)


def _curve(outcome: Outcome, name: str, points: Points) -> Series:
    return Series(name, points, subject_colour(outcome, name), has_dots=False)


def _shown(outcome: Outcome) -> list[str]:
    """The reference, then each student of the line-up behind the undistilled teacher in as many steps."""
    pairs = ((baseline, student) for student, baseline in outcome.line_up.items())
    names = [outcome.reference, *chain.from_iterable(pairs)]
    return [name for name in names if name is not None and name in outcome.profiles]


def _spectrum(profile: SubjectProfile, axis: str) -> Points:
    return thinned(profile.space if axis == "space" else profile.time)


def thinned(spectrum: Spectrum) -> Points:
    """(frequency, power); of a fine spectrum the means over parts of equal width on the logarithmic axis."""
    points = list(zip(spectrum.frequency, spectrum.power, strict=True))
    if len(points) <= MOST_POINTS:
        return points
    span = math.log(points[-1][0] / points[0][0])
    edges = [points[0][0] * math.exp(span * part / MOST_POINTS) * 0.999999 for part in range(MOST_POINTS + 1)]
    edges[-1] *= 1.00001
    parts = [[point for point in points if low <= point[0] < high] for low, high in pairwise(edges)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts if part]
