"""A ranking as inline SVG: one row a name, its value as a dot with a bar of spread, on one shared axis."""

from dataclasses import dataclass

from gpd.pages.chart import NUM_COLOURS, Axis, make_axis, number_text, reach, ticks
from gpd.pages.html import element, escape

WIDTH, RIGHT, TOP, BOTTOM = 520, 20, 6, 40
ROW_PX = 22
CHAR_PX, MOST_LEFT = 8.2, 250  # of a name on a phone, where letters are larger; the room that names may take


@dataclass(frozen=True)
class Row:
    """One name; `spread` is half the length of its bar, None for none."""

    name: str
    value: float
    spread: float | None
    colour: int


def dot_chart(title: str, x_label: str, rows: list[Row], *, is_log: bool = False) -> str:
    """A figure of the rows in the order given, empty where there are none; a logarithmic axis leaves out 0 and less."""
    rows = [row for row in rows if row.value > 0 or not is_log]
    if not rows:
        return ""
    height = TOP + ROW_PX * len(rows) + BOTTOM
    ends = [end for row in rows for end in reach(row.value, row.spread, is_log)]
    left = min(MOST_LEFT, CHAR_PX * max(len(row.name) for row in rows) + 12)
    axis = make_axis(ends, left, WIDTH - RIGHT, is_log=is_log, from_zero=False)
    drawing = element(
        "svg",
        _axis(axis, height, x_label),
        *(_row(row, TOP + ROW_PX * (place + 0.5), axis) for place, row in enumerate(rows)),
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=title,
    )
    return element("figure", element("figcaption", escape(title)), drawing)


def _axis(axis: Axis, height: int, label: str) -> str:
    bottom = height - BOTTOM
    parts = [
        f'<text x="{(axis.start_px + axis.end_px) / 2}" y="{height - 6}" text-anchor="middle">{escape(label)}</text>'
    ]
    for value in ticks(axis):
        place = axis.place(value)
        parts.append(f'<path class="grid" d="M{place:.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{number_text(value)}</text>')
    return "".join(parts)


def _row(row: Row, middle: float, axis: Axis) -> str:
    place = axis.place(row.value)
    low, high = (axis.place(end) for end in reach(row.value, row.spread, axis.is_log))
    bar = f'<path class="bar" d="M{low:.1f} {middle}H{high:.1f}"/>' if row.spread is not None else ""
    words = f"{row.name}: {number_text(row.value)}" + (
        f" ± {number_text(row.spread)}" if row.spread is not None else ""
    )
    dot = f'<circle cx="{place:.1f}" cy="{middle}" r="4.5"><title>{escape(words)}</title></circle>'
    name = f'<text x="{axis.start_px - 10:.1f}" y="{middle + 4}" text-anchor="end">{escape(row.name)}</text>'
    return name + element("g", bar, dot, class_=f"c{row.colour % NUM_COLOURS}")
