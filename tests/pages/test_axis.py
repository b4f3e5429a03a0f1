import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpd.pages.axis import make_axis, number_text, reach

VALUES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8)


def test_axis_by_hand() -> None:
    axis = make_axis("t", [0.0, 10.0], 106.0, is_log=False, from_zero=True)
    assert axis.place(0.0) == pytest.approx(0)
    assert axis.place(10.0) == pytest.approx(100)


@given(VALUES, st.booleans(), st.booleans())
def test_all_values_lie_on_the_axis_in_their_order(values: list[float], is_log: bool, from_zero: bool) -> None:
    axis = make_axis("t", values, 100.0, is_log=is_log, from_zero=from_zero and not is_log)
    places = [axis.place(value) for value in sorted(values)]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert places == sorted(places)


def test_few_whole_numbers_are_the_ticks() -> None:
    axis = make_axis("t", [6.0, 96.0], 100.0, is_log=True)
    assert axis.encode("x", [96.0, 6.0, 12.0, 6.0])["axis"]["values"] == [6, 12, 96]
    assert 6.5 not in axis.encode("x", [6.5, 96.0])["axis"].get("values", [])


@given(st.floats(1e-6, 1e6), st.floats(20, 1e9))
def test_decades_are_marked_inside_the_axis(low: float, factor: float) -> None:
    axis = make_axis("t", [low, low * factor], 100.0, is_log=True)
    found = axis.encode("x", [])["axis"]["values"]
    assert 2 <= len(found) <= 20
    assert all(axis.low <= tick <= axis.high for tick in found)
    assert found == sorted(found)


def test_a_bar_reaches_both_ways_and_on_a_logarithmic_axis_not_below_a_tenth() -> None:
    assert reach(0.5, 0.25, is_log=False) == (0.25, 0.75)
    assert reach(0.5, None, is_log=True) == (0.5, 0.5)
    assert reach(0.5, 2.0, is_log=True) == (0.05, 2.5)


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (1200, "1,200"), (74364, "74.4k"), (2e6, "2M"), (1e-5, "1e-5"), (0.0, "0")]
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text
