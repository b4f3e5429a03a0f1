"""A Vega-Lite chart as inline SVG: no script, no network, coloured by the page's style for light and dark.

Specifications are plain values: Altair's classes make the same, but check each piece of it, twice the time of drawing.
"""

import re
from typing import Any

import vl_convert
from markupsafe import Markup

FONT_PX = 15  # room is made for letters of this size: page.css shows them so on a phone, smaller elsewhere
AXIS = {
    "labelFontSize": FONT_PX,
    "titleFontSize": FONT_PX,
    "titleFontWeight": "normal",
    "labelColor": "var(--soft)",
    "titleColor": "var(--soft)",
    "gridColor": "var(--rule)",
    "domain": False,
    "ticks": False,
    "labelPadding": 6,
}
# Room of a fixed size instead of what the letters take: fonts differ between machines, the page's bytes must not.
RIGHT_PX, TOP_PX, BOTTOM_PX, LABELS_PX = 16, 10, 50, 52
CONFIG = {
    "axis": AXIS,
    "axisX": {"minExtent": 24, "maxExtent": 24},
    "axisY": {"minExtent": LABELS_PX, "maxExtent": LABELS_PX},
    "view": {"stroke": None},
}

Spec = dict[str, Any]
Data = list[dict[str, Any]]


def make_layer(data: Data, mark: Spec, encoding: Spec) -> Spec:
    """Marks of one kind; only points, which have a description, are read out one by one."""
    return {"data": {"values": data}, "mark": {"aria": "description" in encoding, **mark}, "encoding": encoding}


def make_points(data: Data, bar: Spec, place: Spec) -> list[Spec]:
    """Two layers: bars of spread, if a datum has one, and dots.

    Args:
        data: with `paint`, `shape`, `words` and `has_bar`.
        bar, place: how a bar and a dot lie in the frame.
    """
    paint = {"field": "paint", "type": "nominal", "scale": None}
    shape = {"field": "shape", "type": "nominal", "scale": None}
    dot = {"type": "point", "filled": True, "size": 64, "opacity": 1, "stroke": "var(--card)", "strokeWidth": 1.5}
    words = {"field": "words", "type": "nominal"}
    barred = [datum for datum in data if datum["has_bar"]]
    return [
        make_layer(barred, {"type": "rule", "strokeWidth": 2, "opacity": 0.75}, bar | {"color": paint}),
        make_layer(data, dot, place | {"color": paint, "shape": shape, "description": words}),
    ]


def draw(layers: list[Spec], title: str, *, left_px: float = LABELS_PX + 26, **size: Any) -> Markup:
    """The layers' SVG, as wide as its place in the page. Equal ones give equal bytes.

    Each point's description becomes what is shown when it is pointed at. There are no ids in it, so that several
    charts can stand on one page.

    Args:
        title: what a screen reader reads out for the whole.
        left_px: room for the letters left of the frame.
        size: width and height of the frame, px.
    """
    spec = {"layer": [layer for layer in layers if layer["data"]["values"]], "background": None, "config": CONFIG}
    room = {"left": left_px, "right": RIGHT_PX, "top": TOP_PX, "bottom": BOTTOM_PX}
    svg: str = vl_convert.vegalite_to_svg(spec | size | {"autosize": "none", "padding": room})
    label = Markup("{}").format(title)
    svg = re.sub(r'<svg .*?(viewBox="[^"]*")>', lambda found: f'<svg {found[1]} role="img" aria-label="{label}">', svg)
    svg = re.sub(r'(<path aria-label="([^"]*)" role="graphics-symbol"[^>]*)/>', r"\1><title>\2</title></path>", svg)
    return Markup(re.sub(r' (?:d|transform|x2|y2)="[^"]*"', _shorten, svg))


def _shorten(attribute: re.Match[str]) -> str:
    """Hundredths of a px are enough."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
