"""Line charts as inline SVG: coloured by the page's style, so that they follow light and dark."""

import itertools
import math
from dataclasses import dataclass

from gpd.page.html import element, escape

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 46
MIN_TICK_PX = 44  # between the labels of two ticks
NUM_COLOURS = 8  # .c0 .. of page.css


@dataclass(frozen=True)
class Series:
    """Points in the order in which they are joined.

    Attributes:
        colour: a number of the page's palette.
        is_line: joined, or dots alone.
        labels: shown when a point is pointed at, one for each.
    """

    name: str
    points: list[tuple[float, float]]
    colour: int = 0
    is_line: bool = True
    labels: list[str] | None = None


@dataclass(frozen=True)
class Axis:
    """A scale from values to px; logarithmic ones need positive values."""

    low: float
    high: float
    start_px: float
    end_px: float
    is_log: bool

    def place(self, value: float) -> float:
        """Where a value lies, px."""
        low, high, here = (math.log(v) if self.is_log else v for v in (self.low, self.high, value))
        return self.start_px + (here - low) / (high - low) * (self.end_px - self.start_px)


def line_chart(
    title: str, x_label: str, y_label: str, series: list[Series], *, log_x: bool = False, log_y: bool = False
) -> str:
    """A figure with its title, its axes and a legend.

    Args:
        series: at least one point in all; points that a logarithmic axis cannot show are left out.
    """
    shown = [(entry, _visible(entry, log_x, log_y)) for entry in series]
    points = [point for _, kept in shown for point in kept]
    if not points:
        return ""
    x = make_axis([p[0] for p in points], LEFT, WIDTH - RIGHT, is_log=log_x, from_zero=False)
    y = make_axis([p[1] for p in points], HEIGHT - BOTTOM, TOP, is_log=log_y, from_zero=not log_y)
    drawing = element(
        "svg",
        _grid(x, y, sorted({p[0] for p in points})),
        _axis_titles(x_label, y_label),
        *(_draw(entry, kept, x, y) for entry, kept in shown),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
    )
    return element("figure", element("figcaption", escape(title)), drawing, _legend(series))


def make_axis(values: list[float], start_px: float, end_px: float, *, is_log: bool, from_zero: bool) -> Axis:
    """A scale that covers the values with a little air."""
    low, high = min(values), max(values)
    if is_log:
        air = max((high / low) ** 0.06, 1.05)
        return Axis(low / air, high * air, start_px, end_px, True)
    low = min(0.0, low) if from_zero else low
    air = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return Axis(low if from_zero and low == 0 else low - air, high + air, start_px, end_px, False)


def ticks(axis: Axis) -> list[float]:
    """Round numbers inside the axis, three to nine of them where the range allows."""
    if axis.is_log:
        decades = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
        decades = decades[:: 1 + len(decades) // 10]
        for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            found = [d * 10.0**e for e in decades for d in digits if axis.low <= d * 10.0**e <= axis.high]
            if len(found) >= 3:
                return found
    rough = (axis.high - axis.low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough)
    first = math.ceil(axis.low / step)
    return [step * number for number in range(first, math.floor(axis.high / step) + 1)]


def _visible(series: Series, log_x: bool, log_y: bool) -> list[tuple[float, float]]:
    return [(x, y) for x, y in series.points if (x > 0 or not log_x) and (y > 0 or not log_y)]


def _grid(x: Axis, y: Axis, x_values: list[float]) -> str:
    parts = []
    for value in ticks(y):
        place = y.place(value)
        parts.append(f'<path class="grid" d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    for value in x_values if _have_room(x, x_values) else ticks(x):
        place = x.place(value)
        parts.append(f'<path class="grid" d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{_number(value)}</text>')
    return "".join(parts)


def _have_room(axis: Axis, values: list[float]) -> bool:
    """Whether the data's own values can be the ticks."""
    places = [axis.place(value) for value in values]
    return len(values) <= 8 and all(b - a >= MIN_TICK_PX for a, b in itertools.pairwise(places))


def _axis_titles(x_label: str, y_label: str) -> str:
    across, down = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text x="{across}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="translate(14 {down}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )


def _draw(series: Series, points: list[tuple[float, float]], x: Axis, y: Axis) -> str:
    places = [(x.place(px), y.place(py)) for px, py in points]
    colour = series.colour % NUM_COLOURS
    parts = []
    if series.is_line and len(places) > 1:
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in places)
        parts.append(f'<path class="line" d="M{path}"/>')
    if len(places) <= 20:
        labels = series.labels or [""] * len(points)
        for (px, py), point, label in zip(places, points, labels, strict=False):
            words = f"{label or series.name}: {_number(point[0])}, {_number(point[1])}"
            parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4.5"><title>{escape(words)}</title></circle>')
    return element("g", *parts, class_=f"c{colour}")


def _legend(series: list[Series]) -> str:
    items = [
        element("li", element("i", class_=f"c{entry.colour % NUM_COLOURS}"), escape(entry.name)) for entry in series
    ]
    return element("ul", *items, class_="legend")


def _number(value: float) -> str:
    return f"{value:.3g}".replace("e-0", "e-") if abs(value) < 1000 else f"{value:,.0f}"
