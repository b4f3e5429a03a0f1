"""What distinguishes one series of a chart from another: a colour of its own, then a dash and a shape."""

from dataclasses import dataclass

INK = -1  # the colour of text, for what the others are measured against
SOFT = -2  # that of what stands behind them
GOLDEN_ANGLE = 137.508  # degrees: however many hues are taken in turn, each new one falls into the widest gaps
FIRST_HUE = 252.0  # blue
PER_STYLE = 5  # hues that are easily told apart

Style = tuple[list[int], str, str, str]
STYLES: tuple[Style, ...] = (
    ([], "solid", "circle", "●"),
    ([7, 4], "dashed", "square", "■"),
    ([2, 3], "dotted", "triangle-up", "▲"),
)


@dataclass(frozen=True)
class Look:
    """How a series is drawn.

    Attributes:
        paint: a CSS colour. Its lightness is the page's, which differs between light and dark (page.css).
        dash: lengths of the line's strokes and gaps, px; empty for an unbroken line.
        border: the CSS border that looks like the line.
        shape: Vega's name of the points' shape.
        glyph: a letter of that shape.
    """

    paint: str
    dash: list[int]
    border: str
    shape: str
    glyph: str


LETTERS = {INK: Look("var(--ink)", *STYLES[0]), SOFT: Look("var(--soft)", *STYLES[1])}


def make_look(number: int) -> Look:
    """The look of a number from 0; no two numbers share a colour. INK and SOFT are those of letters."""
    if number in LETTERS:
        return LETTERS[number]
    hue = (FIRST_HUE + number * GOLDEN_ANGLE) % 360
    return Look(f"oklch(var(--level) var(--chroma) {hue:.1f})", *STYLES[number // PER_STYLE % len(STYLES)])
