"""A ranking drawn by Vega-Lite: one row a name, its value as a dot with a bar of spread, on one shared axis."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from gpd.pages.axis import figure_words, make_axis, reach
from gpd.pages.drawing import draw, make_points
from gpd.pages.html import render
from gpd.pages.palette import make_look

WIDTH, ROW_PX = 280, 26
CHAR_PX, MOST_NAME_PX = 8.0, 300


@dataclass(frozen=True)
class Dot:
    """One name; `spread` is half the length of its bar, None for none. Dots of one name share a row."""

    name: str
    value: float
    spread: float | None
    colour: int


def dot_chart(title: str, x_label: str, dots: list[Dot], *, is_log: bool = False) -> Markup:
    """A figure of the dots in the order given, empty if there are none; a logarithmic axis leaves out 0 and less."""
    data = [_datum(dot, is_log) for dot in dots if dot.value > 0 or not is_log]
    if not data:
        return Markup()
    axis = make_axis(x_label, [datum[end] for datum in data for end in ("low", "high")], WIDTH, is_log=is_log)
    order = list(dict.fromkeys(datum["name"] for datum in data))
    left_px = min(MOST_NAME_PX, CHAR_PX * max(map(len, order))) + 10
    names = {"title": None, "labelLimit": MOST_NAME_PX, "grid": False, "aria": False}
    places = {
        "x": axis.encode("value", []),
        "y": {"field": "name", "type": "nominal", "scale": {"domain": order}, "axis": names},
    }
    bar = places | {"x": axis.encode("low", []), "x2": {"field": "high"}}
    drawing = draw(make_points(data, bar, places), title, width=WIDTH, height=ROW_PX * len(order), left_px=left_px)
    return render("gpd.pages", "chart.html", title=title, note="", drawing=drawing, series=[])


def _datum(dot: Dot, is_log: bool) -> dict[str, Any]:
    look, (low, high) = make_look(dot.colour), reach(dot.value, dot.spread, is_log=is_log)
    words = figure_words(dot.name, dot.value, spread=dot.spread)
    values = {"name": dot.name, "value": dot.value, "low": low, "high": high, "words": words}
    return values | {"paint": look.paint, "shape": look.shape, "has_bar": dot.spread is not None}
