"""The family tree in columns and rows, by hand."""

import pytest

from gpd.registry.graph import arrange


def arranged(names: str, *edges: str) -> dict[str, tuple[int, int]]:
    """Of nodes of one letter and edges of two: parent, child."""
    return arrange({name: name for name in names}, [(parent, child) for parent, child in edges])


def test_children_stand_right_of_their_parents_and_beside_them_if_there_is_room() -> None:
    assert arranged("tabcd", "ta", "tb", "ac", "cd") == {
        "t": (0, 0),
        "a": (1, 0),
        "b": (1, 1),
        "c": (2, 0),
        "d": (3, 0),
    }
    assert arranged("stuxy", "ux", "sy") == {"s": (0, 0), "t": (0, 1), "u": (0, 2), "x": (1, 2), "y": (1, 3)}
    assert arranged("tuvx", "vx", "ux")["x"] == (1, 1)  # beside the upper one of its parents


def test_the_longest_way_counts() -> None:
    assert arranged("tabc", "ta", "ab", "tb", "bc", "tc") == {"t": (0, 0), "a": (1, 0), "b": (2, 0), "c": (3, 0)}


def test_no_place_is_taken_twice() -> None:
    places = arranged("tabcdefg", "ta", "tb", "tc", "bd", "be", "cf", "cg")
    assert len(set(places.values())) == 8
    assert sorted(row for column, row in places.values() if column == 2) == [1, 2, 3, 4]


@pytest.mark.parametrize("edges", [["ab", "ba", "cc"], ["ab", "bc", "ca"]])
def test_a_circle_can_be_arranged(edges: list[str]) -> None:
    places = arranged("abc", *edges)
    assert len(set(places.values())) == 3
    assert all(column < 3 for column, _ in places.values())


def test_nothing_is_arranged_as_nothing() -> None:
    assert arranged("") == {}
