import re

import pytest

from gpd.pages.dots import WIDTH, Dot, dot_chart
from tests.pages.test_chart import points
from tests.pages.test_html import Reader


def test_rows_stand_in_the_order_given_and_larger_values_further_right() -> None:
    chart = dot_chart("T", "x", [Dot("a", 1.0, None, 0), Dot("b", 3.0, 0.5, 1), Dot("c", 2.0, 0.0, 2)])
    across, down = zip(*points(chart), strict=True)
    assert across[0] < across[2] < across[1] <= WIDTH
    assert list(down) == sorted(down)
    assert len(set(down)) == 3


@pytest.mark.parametrize("is_log", [False, True])
def test_bars_lie_around_their_dots_inside_the_frame(is_log: bool) -> None:
    chart = dot_chart("T", "x", [Dot("a", 1.0, 2.0, 0), Dot("b", 10.0, 3.0, 0)], is_log=is_log)
    (rules,) = re.findall(r'<g class="mark-rule role-mark[^>]*>(.*?)</g>', chart)
    bars = re.findall(r'translate\(([\d.]+),[\d.]+\)" x2="(-?[\d.]+)"', rules)
    for (start, length), (dot, _) in zip(bars, points(chart), strict=True):
        low, high = sorted((float(start), float(start) + float(length)))
        assert 0 < low < dot < high <= WIDTH


def test_a_logarithmic_axis_leaves_zero_out_and_no_rows_are_no_chart() -> None:
    chart = dot_chart("T", "x", [Dot("zero", 0.0, None, 0), Dot("one", 1.0, None, 0)], is_log=True)
    assert "zero" not in chart
    assert "one" in chart
    assert dot_chart("T", "x", []) == ""


def test_names_are_escaped() -> None:
    chart = dot_chart("<T>", "<x>", [Dot("<a>", 1.0, None, 0)])
    Reader(chart)
    assert not any(text in chart for text in ("<a>", "<T>", "<x>"))
