import pytest

from gpd.pages.dots import WIDTH, Row, dot_chart
from tests.pages.test_html import Reader


def test_rows_stand_below_each_other_and_larger_values_further_right() -> None:
    chart = dot_chart("T", "x", [Row("a", 1.0, 0.5, 0), Row("b", 3.0, None, 1), Row("c", 2.0, 0.0, 2)])
    circles = [attributes for tag, attributes in Reader(chart).tags if tag == "circle"]
    across, down = ([float(circle[key] or -1) for circle in circles] for key in ("cx", "cy"))
    assert across[0] < across[2] < across[1] <= WIDTH
    assert down == sorted(down)


@pytest.mark.parametrize("is_log", [False, True])
def test_bars_lie_around_their_dots_inside_the_frame(is_log: bool) -> None:
    chart = dot_chart("T", "x", [Row("a", 1.0, 2.0, 0), Row("b", 10.0, 3.0, 0)], is_log=is_log)
    tags = Reader(chart).tags
    bars = [attributes["d"] or "" for _, attributes in tags if attributes.get("class") == "bar"]
    dots = [float(attributes["cx"] or -1) for tag, attributes in tags if tag == "circle"]
    for bar, dot in zip(bars, dots, strict=True):
        low, high = float(bar[1:].split(" ")[0]), float(bar.split("H")[1])
        assert 0 < low < dot < high <= WIDTH


def test_a_logarithmic_axis_leaves_zero_out_and_no_rows_are_no_chart() -> None:
    chart = dot_chart("T", "x", [Row("zero", 0.0, None, 0), Row("one", 1.0, None, 0)], is_log=True)
    assert "zero" not in chart
    assert "one" in chart
    assert dot_chart("T", "x", []) == ""


def test_names_are_escaped() -> None:
    chart = dot_chart("<T>", "<x>", [Row("<a>", 1.0, None, 0)])
    Reader(chart)
    assert not any(text in chart for text in ("<a>", "<T>", "<x>"))
