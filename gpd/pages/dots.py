"""A ranking drawn by Vega-Lite: one row a name, its value as a dot with a bar of spread, on one shared axis."""

from dataclasses import dataclass
from typing import Any

import altair as alt
from markupsafe import Markup

from gpd.pages.axis import figure_words, make_axis, reach
from gpd.pages.chart import DOT_AREA
from gpd.pages.drawing import draw
from gpd.pages.html import render
from gpd.pages.palette import make_look

WIDTH, ROW_PX, MOST_NAME_PX = 310, 26, 250


@dataclass(frozen=True)
class Row:
    """One name; `spread` is half the length of its bar, None for none. Rows of one name share a line."""

    name: str
    value: float
    spread: float | None
    colour: int


def dot_chart(title: str, x_label: str, rows: list[Row], *, is_log: bool = False) -> Markup:
    """A figure of the rows in the order given, empty where there are none; a logarithmic axis leaves out 0 and less."""
    data = [_datum(row, is_log) for row in rows if row.value > 0 or not is_log]
    if not data:
        return Markup()
    axis = make_axis(x_label, [datum[end] for datum in data for end in ("low", "high")], WIDTH, is_log=is_log)
    names = alt.Axis(title=None, labelLimit=MOST_NAME_PX, grid=False, aria=False)
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("value:Q", scale=axis.scale(), axis=axis.ticks([])),
        y=alt.Y("name:N", sort=None, axis=names),
        color=alt.Color("paint:N", scale=None),
    )
    bar = base.mark_rule(strokeWidth=2, opacity=0.75, aria=False).encode(x="low:Q", x2="high:Q")
    dot = base.mark_point(filled=True, size=DOT_AREA, opacity=1, stroke="var(--card)", strokeWidth=1.5)
    dot = dot.encode(shape=alt.Shape("shape:N", scale=None), description="words:N")
    drawing = draw(alt.layer(bar, dot).properties(width=WIDTH, height=alt.Step(ROW_PX)), title)
    return render("gpd.pages", "chart.html", title=title, note="", drawing=drawing, series=[])


def _datum(row: Row, is_log: bool) -> dict[str, Any]:
    look, (low, high) = make_look(row.colour), reach(row.value, row.spread, is_log=is_log)
    words = figure_words(row.name, row.value, spread=row.spread)
    values = {"name": row.name, "value": row.value, "low": low, "high": high, "words": words}
    return values | {"paint": look.paint, "shape": look.shape}
