import re

import pytest

from gpd.pages.chart import HEIGHT, WIDTH, Series, line_chart
from tests.pages.test_html import Reader

PLACE = re.compile(r"translate\((-?[\d.]+),(-?[\d.]+)\)")


def points(chart: str) -> list[tuple[float, float]]:
    """Where the dots lie in the frame, px."""
    found = [PLACE.search(a["transform"] or "") for _, a in Reader(chart).tags if a.get("role") == "graphics-symbol"]
    return [(float(place[1]), float(place[2])) for place in found if place]


def bars(chart: str) -> list[tuple[float, float]]:
    """Upper and lower end of each bar of spread, px."""
    some = re.findall(r'<g class="mark-rule role-mark[^>]*>(.*?)</g>', chart)
    found = re.findall(r'transform="translate\([\d.]+,([\d.]+)\)" x2="0" y2="(-?[\d.]+)"', "".join(some))
    return [tuple(sorted((float(y), float(y) + float(dy)))) for y, dy in found]  # type: ignore[misc]


def titles(chart: str) -> list[str]:
    return re.findall(r"<title>(.*?)</title>", chart)


def test_every_point_is_drawn_inside_the_frame() -> None:
    chart = line_chart(
        "T", "x", "y", [Series("a", [(6, 0.5), (12, 0.25)]), Series("b", [(48, 1.0)], 1, False)], log_x=True
    )
    assert len(points(chart)) == 3
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points(chart))
    assert titles(chart) == ["a: 6, 0.5", "a: 12, 0.25", "b: 48, 1"]


def test_a_line_joins_its_points_in_their_order() -> None:
    chart = line_chart("T", "x", "y", [Series("a", [(3, 1.0), (1, 2.0), (2, 0.5)])])
    line = re.search(r'<g class="mark-line[^>]*><path d="M([^"]*)"', chart)
    assert line
    joined = [tuple(map(float, corner.split(","))) for corner in line[1].split("L")]
    assert [x for x, _ in joined] == pytest.approx([x for x, _ in points(chart)], abs=0.02)
    assert joined[1][0] < joined[2][0] < joined[0][0]


def test_points_that_a_log_axis_cannot_show_are_left_out() -> None:
    assert len(points(line_chart("T", "x", "y", [Series("a", [(1, 0.0), (2, 1.0), (3, 2.0)])], log_y=True))) == 2


def test_no_points_no_chart() -> None:
    assert line_chart("T", "x", "y", [Series("a", [])]) == ""


def test_all_texts_are_escaped() -> None:
    chart = line_chart("<T>", "<x>", "<y>", [Series("<a>", [(1, 1)], labels=["<l>"], is_named=True)], note="<n>")
    assert not any(f"<{letter}>" in chart for letter in "Txyaln")
    assert {"<T>", "<x>", "<y>", "<a>", "<l>", "<n>"} <= set(Reader(chart).texts)


def test_a_spread_is_a_bar_around_its_point_and_none_is_none() -> None:
    chart = line_chart("T", "x", "y", [Series("a", [(1, 0.5), (2, 0.5)], labels=["p", "q"], spreads=[0.25, None])])
    (bar,) = bars(chart)
    assert sum(bar) / 2 == pytest.approx(points(chart)[0][1], abs=0.1)
    assert titles(chart) == ["p: 1, 0.5 ± 0.25", "q: 2, 0.5"]


def test_a_bar_below_zero_stays_on_a_logarithmic_axis() -> None:
    (bar,) = bars(line_chart("T", "x", "y", [Series("a", [(1, 0.5)], spreads=[2.0])], log_y=True))
    assert 0 <= bar[0] < bar[1] <= HEIGHT


def test_names_stand_beside_their_points() -> None:
    chart = line_chart("T", "x", "y", [Series("a", [(1, 1), (2, 1)], labels=["near", "far"], is_named=True)])
    assert {"near", "far"} <= set(Reader(chart).texts)
    assert "near" not in Reader(line_chart("T", "x", "y", [Series("a", [(1, 1)], labels=["near"])])).texts


def test_a_rule_is_always_in_sight() -> None:
    chart = line_chart("T", "x", "y", [Series("a", [(1, 0.5), (2, 0.6)])], log_y=True, rule=1.0)
    rule = re.search(
        r'<g class="mark-rule role-mark[^>]*><line transform="translate\(460,([\d.]+)\)" x2="-460"[^>]*>', chart
    )
    assert rule
    assert "stroke-dasharray" in rule[0]
    assert 0 <= float(rule[1]) <= HEIGHT


def test_equal_charts_have_equal_bytes_and_no_ids() -> None:
    """So that a rerun changes nothing, and several can stand on one page."""
    first, second = (line_chart("T", "x", "y", [Series("a", [(1, 0.1), (2, 0.7)])]) for _ in range(2))
    assert first == second
    assert not any("id" in attributes for _, attributes in Reader(first).tags)
    assert "url(" not in first


def test_colours_are_the_pages() -> None:
    """Light and dark are the style's: a chart names no lightness of its own."""
    chart = line_chart("T", "x", "y", [Series(str(n), [(n, 1), (n + 1, 2)], n) for n in range(9)], rule=1.0)
    colours = {a[key] for _, a in Reader(chart).tags for key in ("fill", "stroke") if key in a}
    assert colours - {"none", "transparent"}
    assert all("var(--" in (colour or "") for colour in colours - {"none", "transparent", None})
