"""Lines and points with bars of spread, drawn by Vega-Lite."""

from dataclasses import dataclass
from typing import Any

import altair as alt
from markupsafe import Markup

from gpd.pages.axis import Axis, figure_words, make_axis, reach
from gpd.pages.drawing import FONT_PX, draw
from gpd.pages.html import render
from gpd.pages.labels import GAP_PX, choose_sides
from gpd.pages.palette import Look, make_look

WIDTH, HEIGHT = 460, 250  # px of the frame, without the axes' letters
MOST_DOTS = 20  # a longer line is drawn without
DOT_AREA = 64
SIDES: dict[str, dict[str, Any]] = {
    "above": {"align": "center", "baseline": "bottom", "dy": -GAP_PX},
    "right": {"align": "left", "baseline": "middle", "dx": GAP_PX + 1},
    "below": {"align": "center", "baseline": "top", "dy": GAP_PX},
    "left": {"align": "right", "baseline": "middle", "dx": -GAP_PX - 1},
}

Datum = dict[str, Any]


@dataclass(frozen=True)
class Series:
    """Points in the order in which they are joined.

    Attributes:
        colour: a number of the palette.
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

    @property
    def look(self) -> Look:
        """Its colour, dash and shape."""
        return make_look(self.colour)


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
) -> Markup:
    """A figure with its title, its axes and a legend; empty where there is no point to show.

    Args:
        series: points that a logarithmic axis cannot show are left out.
        rule: a value of y that a dashed line marks, such as the reference's.
        note: a sentence below the title.
    """
    shown = [_data(entry, place, log_x, log_y) for place, entry in enumerate(series)]
    data = [datum for some in shown for datum in some]
    if not data:
        return Markup()
    x = make_axis(x_label, [datum["x"] for datum in data], WIDTH, is_log=log_x)
    heights = [datum[end] for datum in data for end in ("low", "high")] + ([] if rule is None else [rule])
    y = make_axis(y_label, heights, HEIGHT, is_log=log_y, from_zero=not log_y)
    base = _base(x, y, data)
    layers = [
        *_rules(rule, base, y),
        *_lines([some for entry, some in zip(series, shown, strict=True) if entry.is_line and len(some) > 1], base),
        *_dots([some for entry, some in zip(series, shown, strict=True) if entry.has_dots], base),
        *_names(data, base, x, y),
    ]
    drawing = draw(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT), title)
    return render("gpd.pages", "chart.html", title=title, note=note, drawing=drawing, series=series)


def _data(series: Series, place: int, log_x: bool, log_y: bool) -> list[Datum]:
    """One datum a point that the axes can show."""
    number = len(series.points)
    rows = zip(series.points, series.labels or [""] * number, series.spreads or [None] * number, strict=True)
    look = series.look
    common = {"series": place, "paint": look.paint, "dash": look.dash, "shape": look.shape}
    return [
        {
            **common,
            "order": order,
            "x": x,
            "y": y,
            "low": reach(y, spread, is_log=log_y)[0],
            "high": reach(y, spread, is_log=log_y)[1],
            "has_bar": spread is not None,
            "name": label if series.is_named else "",
            "words": figure_words(label or series.name, x, y, spread=spread),
        }
        for order, ((x, y), label, spread) in enumerate(rows)
        if (x > 0 or not log_x) and (y > 0 or not log_y)
    ]


def _base(x: Axis, y: Axis, data: list[Datum]) -> alt.Chart:
    return alt.Chart().encode(
        x=alt.X("x:Q", scale=x.scale(), axis=x.ticks([datum["x"] for datum in data])),
        y=alt.Y("y:Q", scale=y.scale(), axis=y.ticks([])),
        color=alt.Color("paint:N", scale=None),
        detail="series:N",
    )


def _with(base: alt.Chart, data: list[Datum]) -> alt.Chart:
    return base.properties(data=alt.Data(values=data))


def _rules(rule: float | None, base: alt.Chart, y: Axis) -> list[alt.Chart]:
    if rule is None:
        return []
    chart = alt.Chart(alt.Data(values=[{"y": rule}])).encode(y=alt.Y("y:Q", scale=y.scale(), axis=y.ticks([])))
    return [chart.mark_rule(color="var(--soft)", strokeDash=[5, 4], aria=False)]


def _lines(shown: list[list[Datum]], base: alt.Chart) -> list[alt.Chart]:
    data = [datum for some in shown for datum in some]
    dash = alt.StrokeDash("dash:N", scale=None)
    line = base.mark_line(strokeWidth=2.2, strokeJoin="round", aria=False).encode(order="order:Q", strokeDash=dash)
    return [_with(line, data)] if data else []


def _dots(shown: list[list[Datum]], base: alt.Chart) -> list[alt.Chart]:
    """Points of the series that have few, their bars of spread below them."""
    data = [datum for some in shown if len(some) <= MOST_DOTS for datum in some]
    barred = [datum for datum in data if datum["has_bar"]]
    bar = base.mark_rule(strokeWidth=2, opacity=0.75, aria=False).encode(y="low:Q", y2="high:Q")
    dot = base.mark_point(filled=True, size=DOT_AREA, opacity=1, stroke="var(--card)", strokeWidth=1.5)
    dot = dot.encode(shape=alt.Shape("shape:N", scale=None), description="words:N")
    return [_with(layer, some) for layer, some in ((bar, barred), (dot, data)) if some]


def _names(data: list[Datum], base: alt.Chart, x: Axis, y: Axis) -> list[alt.Chart]:
    places = [(x.place(datum["x"]), HEIGHT - y.place(datum["y"]), datum["name"]) for datum in data]
    sides = choose_sides(places, WIDTH, HEIGHT)
    layers = []
    for side, how in SIDES.items():
        chosen = [datum for datum, found in zip(data, sides, strict=True) if found == side]
        text = base.mark_text(fontSize=FONT_PX - 1, fontWeight=600, aria=False, **how).encode(text="name:N")
        layers += [_with(text, chosen)] if chosen else []
    return layers
