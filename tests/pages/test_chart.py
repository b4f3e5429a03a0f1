import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpd.pages.chart import HEIGHT, LEFT, WIDTH, Series, line_chart, make_axis, number_text, ticks
from tests.pages.test_html import Reader

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


def bars(chart: str) -> list[str]:
    return [attributes["d"] or "" for tag, attributes in Reader(chart).tags if attributes.get("class") == "bar"]


def test_a_spread_is_a_bar_around_its_point_and_none_is_none() -> None:
    series = Series("a", [(1, 0.5), (2, 0.5)], labels=["p", "q"], spreads=[0.25, None])
    (bar,) = bars(line_chart("T", "x", "y", [series]))
    middle = float(
        next(a["cy"] or "" for tag, a in Reader(line_chart("T", "x", "y", [series])).tags if tag == "circle")
    )
    low, high = (float(end) for end in bar.split(" ")[1].split("V"))
    assert (low + high) / 2 == pytest.approx(middle, abs=0.1)
    assert low > middle > high  # px grow downwards


def test_a_bar_below_zero_stays_on_a_logarithmic_axis() -> None:
    (bar,) = bars(line_chart("T", "x", "y", [Series("a", [(1, 0.5)], spreads=[2.0])], log_y=True))
    assert all(0 <= float(end) <= HEIGHT for end in bar.split(" ")[1].split("V"))


def test_names_cover_neither_points_nor_each_other() -> None:
    """Six points on one spot: there is room for a name above, right of, below and left of it, or for fewer."""
    series = Series("a", [(1, 1)] * 6 + [(2, 1)], labels=[*"abcdef", "far"], is_named=True)
    names = [attributes for tag, attributes in Reader(line_chart("T", "x", "y", [series])).tags if tag == "text"]
    named = [(a["x"], a["y"]) for a in names if "name" in (a.get("class") or "")]
    assert 2 <= len(named) <= 5
    assert len(set(named)) == len(named)


def test_a_rule_is_always_in_sight() -> None:
    chart = line_chart("T", "x", "y", [Series("a", [(1, 0.5), (2, 0.6)])], log_y=True, rule=1.0)
    (rule,) = [attributes["d"] or "" for tag, attributes in Reader(chart).tags if attributes.get("class") == "rule"]
    assert 0 <= float(rule.split(" ")[1].split("H")[0]) <= HEIGHT


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (1200, "1,200"), (74364, "74.4k"), (2e6, "2M"), (1e-5, "1e-5"), (0.0, "0")]
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text
