"""A Vega-Lite chart as inline SVG: no script, no network, coloured by the page's style for light and dark."""

import re

import altair as alt
import vl_convert
from markupsafe import Markup

FONT_PX = 15  # room is made for letters of this size: page.css shows them so on a phone, smaller elsewhere
LINES = {"gridColor": "var(--rule)", "domain": False, "ticks": False, "labelPadding": 6}
LETTERS = {"labelColor": "var(--soft)", "titleColor": "var(--soft)", "titleFontWeight": "normal"}


def draw(chart: alt.LayerChart, title: str) -> Markup:
    """The chart's SVG, as wide as its place in the page. Equal charts give equal bytes.

    Each point's description becomes what is shown when it is pointed at. There are no ids in it, so that several
    charts can stand on one page.

    Args:
        title: what a screen reader says of the whole.
    """
    styled = (
        chart.configure(background="transparent", font="Roboto")  # a font that vl_convert carries: equal everywhere
        .configure_axis(labelFontSize=FONT_PX, titleFontSize=FONT_PX, **LINES, **LETTERS)
        .configure_view(stroke=None)
    )
    svg: str = vl_convert.vegalite_to_svg(styled.to_dict())
    svg = re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")>", _opening(title), svg, count=1)
    svg = re.sub(r'<rect [^>]*fill="transparent"/>', "", svg, count=1)
    svg = re.sub(r'(<path aria-label="([^"]*)" role="graphics-symbol"[^>]*)/>', r"\1><title>\2</title></path>", svg)
    return Markup(re.sub(r' (?:d|transform|x2|y2)="[^"]*"', _shorten, svg))


def _opening(title: str) -> str:
    label = Markup("{}").format(title).replace("\\", r"\\")
    return rf'<svg \1 role="img" aria-label="{label}">'


def _shorten(attribute: re.Match[str]) -> str:
    """Hundredths of a px are enough."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
