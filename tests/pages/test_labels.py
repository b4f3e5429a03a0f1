from gpd.pages.labels import choose_sides


def test_a_label_stands_above_its_point_if_there_is_room() -> None:
    assert choose_sides([(100, 100, "name")], 200, 200) == ["above"]


def test_the_frame_pushes_labels_inwards() -> None:
    corners = [(100, 2, "top"), (2, 100, "left"), (198, 100, "right")]
    assert choose_sides(corners, 200, 200) == ["below", "right", "left"]


def test_labels_cover_neither_points_nor_each_other() -> None:
    """Six points on one spot: four sides are free, for two labels there is no room."""
    sides = choose_sides([(100, 100, letter) for letter in "abcdef"], 200, 200)
    assert sorted(side for side in sides if side) == ["above", "below", "left", "right"]
    assert sides[4:] == [None, None]
    assert choose_sides([(100, 100, "a"), (100, 85, "")], 200, 200) == ["right", None]
