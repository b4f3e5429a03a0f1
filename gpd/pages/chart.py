"""Lines and points with bars of spread, drawn by Vega-Lite."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

from markupsafe import Markup

from gpd.pages.axis import Axis, figure_words, make_axis, reach
from gpd.pages.drawing import FONT_PX, Spec, draw, make_layer, make_points
from gpd.pages.html import render
from gpd.pages.labels import GAP_PX, choose_sides
from gpd.pages.palette import Look, make_look

WIDTH, HEIGHT = 460, 250  # px of the frame, without the axes' letters
MOST_DOTS = 20  # a longer line is drawn without
PAINT = {"field": "paint", "type": "nominal", "scale": None}
LINE = {"type": "line", "strokeWidth": 2.2, "strokeJoin": "round"}
LINE_LOOK = {
    "color": PAINT,
    "detail": {"field": "series", "type": "nominal"},
    "order": {"field": "order", "type": "quantitative"},
    "strokeDash": {"field": "dash", "type": "nominal", "scale": None},
}
RULE = {"type": "rule", "color": "var(--soft)", "strokeDash": [5, 4]}
NAME = {"type": "text", "fontSize": FONT_PX - 1, "fontWeight": 600}
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
        spreads: half the length of each point's vertical bar; None if a point has none.
        has_dots: whether the points are drawn too, if they are few.
        is_named: the labels are written beside the points too, if there is room.
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
    """A figure with its title, its axes and a legend; empty if there is no point to show.

    Args:
        series: points that a logarithmic axis cannot show are left out.
        rule: a value of y that a dashed line marks, such as the reference's.
        note: a sentence below the title.
    """
    shown = [_data(entry, place, log_x, log_y) for place, entry in enumerate(series)]
    data = list(chain(*shown))
    if not data:
        return Markup()
    x = make_axis(x_label, [datum["x"] for datum in data], WIDTH, is_log=log_x)
    heights = [datum[end] for datum in data for end in ("low", "high")] + ([] if rule is None else [rule])
    y = make_axis(y_label, heights, HEIGHT, is_log=log_y, from_zero=not log_y)
    layers = [*_rules(rule, y), *_layers(series, shown, x, y)]
    drawing = draw(layers, title, width=WIDTH, height=HEIGHT)
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


def _rules(rule: float | None, y: Axis) -> list[Spec]:
    return [] if rule is None else [make_layer([{"y": rule}], RULE, {"y": y.encode("y", [])})]


def _layers(series: list[Series], shown: list[list[Datum]], x: Axis, y: Axis) -> list[Spec]:
    """Lines, bars, dots and names, the later above the earlier."""
    data = list(chain(*shown))
    joined = [some for entry, some in zip(series, shown, strict=True) if entry.is_line and len(some) > 1]
    dotted = [some for entry, some in zip(series, shown, strict=True) if entry.has_dots and len(some) <= MOST_DOTS]
    places = {"x": x.encode("x", [datum["x"] for datum in data]), "y": y.encode("y", [])}
    bar = places | {"y": y.encode("low", []), "y2": {"field": "high"}}
    lines = make_layer(list(chain(*joined)), LINE, places | LINE_LOOK)
    return [lines, *make_points(list(chain(*dotted)), bar, places), *_names(data, places, x, y)]


def _names(data: list[Datum], places: Spec, x: Axis, y: Axis) -> list[Spec]:
    """A layer for each side of a point on which labels stand."""
    labels = [(x.place(datum["x"]), HEIGHT - y.place(datum["y"]), datum["name"]) for datum in data]
    sides = choose_sides(labels, WIDTH, HEIGHT)
    encoding = places | {"color": PAINT, "text": {"field": "name", "type": "nominal"}}
    return [
        make_layer([datum for datum, found in zip(data, sides, strict=True) if found == side], NAME | how, encoding)
        for side, how in SIDES.items()
    ]
