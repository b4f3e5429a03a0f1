"""Charts as inline SVG: lines, points with bars of spread, coloured by the page's style for light and dark."""

import itertools
import math
from dataclasses import dataclass

from gpd.pages.html import element, escape

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 46
MIN_TICK_PX = 44  # between the labels of two ticks
NUM_COLOURS = 9  # .c0 .. of page.css
INK = 8  # the colour of text, for what the others are measured against
MOST_DOTS = 20  # a longer line is drawn without
CHAR_PX = 7.2  # of a label, on the safe side

Box = tuple[float, float, float, float]  # left, top, right, bottom, px


@dataclass(frozen=True)
class Series:
    """Points in the order in which they are joined.

    Attributes:
        colour: a number of the page's palette.
        is_line: joined, or dots alone.
        labels: shown when a point is pointed at, one for each.
        spreads: half the length of each point's vertical bar; None where a point has none.
        has_dots: whether the points are drawn too, where they are few.
        is_named: the labels are written beside the points too, where there is room.
    """

    name: str
    points: list[tuple[float, float]]
    colour: int = 0
    is_line: bool = True
    labels: list[str] | None = None
    spreads: list[float | None] | None = None
    has_dots: bool = True
    is_named: bool = False


@dataclass(frozen=True)
class Point:
    """One of a series, as it is drawn."""

    x: float
    y: float
    label: str
    spread: float | None


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
    title: str,
    x_label: str,
    y_label: str,
    series: list[Series],
    *,
    log_x: bool = False,
    log_y: bool = False,
    rule: float | None = None,
    note: str = "",
) -> str:
    """A figure with its title, its axes and a legend; empty where there is no point to show.

    Args:
        series: points that a logarithmic axis cannot show are left out.
        rule: a value of y that a dashed line marks, such as the reference's.
        note: a sentence below the title.
    """
    shown = [(entry, _visible(entry, log_x, log_y)) for entry in series]
    points = [point for _, kept in shown for point in kept]
    if not points:
        return ""
    heights = [height for point in points for height in _reach(point, log_y)] + ([] if rule is None else [rule])
    x = make_axis([point.x for point in points], LEFT, WIDTH - RIGHT, is_log=log_x, from_zero=False)
    y = make_axis(heights, HEIGHT - BOTTOM, TOP, is_log=log_y, from_zero=not log_y)
    drawing = element(
        "svg",
        _grid(x, y, sorted({point.x for point in points})),
        _axis_titles(x_label, y_label),
        "" if rule is None else f'<path class="rule" d="M{LEFT} {y.place(rule):.1f}H{WIDTH - RIGHT}"/>',
        *(_draw(entry, kept, x, y) for entry, kept in shown),
        _names(shown, x, y),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
    )
    words = element("small", escape(note)) if note else ""
    return element("figure", element("figcaption", escape(title), words), drawing, _legend(series))


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


def _visible(series: Series, log_x: bool, log_y: bool) -> list[Point]:
    number = len(series.points)
    rows = zip(series.points, series.labels or [""] * number, series.spreads or [None] * number, strict=True)
    points = [Point(x, y, label, spread) for (x, y), label, spread in rows]
    return [point for point in points if (point.x > 0 or not log_x) and (point.y > 0 or not log_y)]


def _reach(point: Point, is_log: bool) -> tuple[float, float]:
    return reach(point.y, point.spread, is_log)


def reach(value: float, spread: float | None, is_log: bool) -> tuple[float, float]:
    """The ends of a bar of spread; on a logarithmic axis it goes no lower than a tenth of the value."""
    low = value - (spread or 0.0)
    return max(low, 0.1 * value) if is_log else low, value + (spread or 0.0)


def _grid(x: Axis, y: Axis, x_values: list[float]) -> str:
    parts = []
    for value in ticks(y):
        place = y.place(value)
        parts.append(f'<path class="grid" d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{number_text(value)}</text>')
    for value in x_values if _have_room(x, x_values) else ticks(x):
        place = x.place(value)
        parts.append(f'<path class="grid" d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{number_text(value)}</text>'
        )
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


def _draw(series: Series, points: list[Point], x: Axis, y: Axis) -> str:
    parts = []
    if series.is_line and len(points) > 1:
        path = "L".join(f"{x.place(point.x):.1f} {y.place(point.y):.1f}" for point in points)
        parts.append(f'<path class="line" d="M{path}"/>')
    if series.has_dots and len(points) <= MOST_DOTS:
        parts += [_dot(series, point, x, y) for point in points]
    return element("g", *parts, class_=f"c{series.colour % NUM_COLOURS}")


def _dot(series: Series, point: Point, x: Axis, y: Axis) -> str:
    px, py = x.place(point.x), y.place(point.y)
    low, high = _reach(point, y.is_log)
    bar = "" if point.spread is None else f'<path class="bar" d="M{px:.1f} {y.place(low):.1f}V{y.place(high):.1f}"/>'
    spread = "" if point.spread is None else f" ± {number_text(point.spread)}"
    words = f"{point.label or series.name}: {number_text(point.x)}, {number_text(point.y)}{spread}"
    return f'{bar}<circle cx="{px:.1f}" cy="{py:.1f}" r="4.5"><title>{escape(words)}</title></circle>'


def _names(shown: list[tuple[Series, list[Point]]], x: Axis, y: Axis) -> str:
    """Labels beside their points, or none where everywhere around it they would cover something."""
    places = [(x.place(point.x), y.place(point.y)) for _, points in shown for point in points]
    taken = [(px - 5, py - 5, px + 5, py + 5) for px, py in places]
    parts = []
    for series, points in shown:
        for point in points if series.is_named else []:
            box = _free_box(x.place(point.x), y.place(point.y), CHAR_PX * len(point.label), taken)
            if box is not None:
                taken.append(box)
                words = escape(point.label)
                middle, low = (box[0] + box[2]) / 2, box[3] - 3
                colour = f"c{series.colour % NUM_COLOURS} name"
                parts.append(
                    f'<text class="{colour}" x="{middle:.1f}" y="{low:.1f}" text-anchor="middle">{words}</text>'
                )
    return "".join(parts)


def _free_box(px: float, py: float, width: float, taken: list[Box]) -> Box | None:
    """The first place for a text above, right, below or left of a point that is free and lies inside the frame."""
    middle, beside = px - width / 2, py - 7
    corners = [(middle, py - 22), (px + 7, beside), (middle, py + 8), (px - 7 - width, beside)]
    for box in [(left, top, left + width, top + 14) for left, top in corners]:
        is_inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM
        if is_inside and not any(_overlap(box, other) for other in taken):
            return box
    return None


def _overlap(first: Box, second: Box) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _legend(series: list[Series]) -> str:
    items = [
        element("li", element("i", class_=f"c{entry.colour % NUM_COLOURS}"), escape(entry.name)) for entry in series
    ]
    return element("ul", *items, class_="legend")


def number_text(value: float) -> str:
    """Three digits; 1,200 in full, 12,000 is 12k, a million 1M."""
    for least, factor, unit in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}".replace("e-0", "e-") if abs(value) < 1000 else f"{value:,.0f}"
