import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpd.page.chart import HEIGHT, LEFT, WIDTH, Series, line_chart, make_axis, ticks
from tests.page.test_html import Reader

VALUES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8)


def test_axis_by_hand() -> None:
    axis = make_axis([0.0, 10.0], 100.0, 206.0, is_log=False, from_zero=True)
    assert axis.place(0.0) == pytest.approx(100)
    assert axis.place(10.0) == pytest.approx(200)
    assert ticks(axis) == [0, 2.5, 5, 7.5, 10]


@given(VALUES, st.booleans(), st.booleans())
def test_all_values_lie_on_the_axis_in_their_order(values: list[float], is_log: bool, from_zero: bool) -> None:
    axis = make_axis(values, 0.0, 100.0, is_log=is_log, from_zero=from_zero and not is_log)
    places = [axis.place(value) for value in sorted(values)]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert places == sorted(places)


@given(VALUES, st.booleans())
def test_ticks_lie_inside(values: list[float], is_log: bool) -> None:
    axis = make_axis(values, 0.0, 100.0, is_log=is_log, from_zero=False)
    found = ticks(axis)
    assert 1 <= len(found) <= 20
    assert all(axis.low * (1 - 1e-9) <= tick <= axis.high * (1 + 1e-9) for tick in found)


def test_chart_draws_every_point_inside_its_frame() -> None:
    chart = line_chart(
        "T", "x", "y", [Series("a", [(6, 0.5), (12, 0.25)]), Series("b", [(48, 1.0)], 1, False)], log_x=True
    )
    circles = [attributes for tag, attributes in Reader(chart).tags if tag == "circle"]
    assert len(circles) == 3
    for circle in circles:
        assert LEFT <= float(circle["cx"] or -1) <= WIDTH
        assert 0 <= float(circle["cy"] or -1) <= HEIGHT


def test_points_that_a_log_axis_cannot_show_are_left_out() -> None:
    chart = line_chart("T", "x", "y", [Series("a", [(1, 0.0), (2, 1.0), (3, 2.0)])], log_y=True)
    assert sum(tag == "circle" for tag, _ in Reader(chart).tags) == 2


def test_no_points_no_chart() -> None:
    assert line_chart("T", "x", "y", [Series("a", [])]) == ""


def test_names_are_escaped() -> None:
    chart = line_chart("<T>", "<x>", "<y>", [Series("<a>", [(1, 1)])])
    assert "<a>" not in chart
    assert "<T>" not in chart
    Reader(chart)
