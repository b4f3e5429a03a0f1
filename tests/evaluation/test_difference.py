import numpy as np
import pytest

from gpd.evaluation.difference import FULL_LEVELS, difference_map, scale_colours

GREY = np.full((2, 4, 4, 3), 100, np.uint8)


def css(colour: np.ndarray) -> str:
    return "#" + bytes(colour.tolist()).hex()


def test_equal_clips_are_the_scales_dark_end() -> None:
    shown = difference_map(GREY, GREY)
    assert shown.shape == GREY.shape
    assert {css(colour) for colour in shown.reshape(-1, 3)} == {scale_colours(2)[0]}


@pytest.mark.parametrize("step", [FULL_LEVELS, FULL_LEVELS + 50, -FULL_LEVELS])
def test_from_the_full_scale_on_all_is_its_bright_end(step: int) -> None:
    shown = difference_map((GREY.astype(int) + step).astype(np.uint8), GREY)
    assert {css(colour) for colour in shown.reshape(-1, 3)} == {scale_colours(2)[1]}


def test_only_the_changed_pixel_lights_up_and_its_channels_count_by_their_mean() -> None:
    other = GREY.copy()
    other[1, 2, 3, 0] += 3 * FULL_LEVELS // 2  # of one channel: half the scale in the mean
    shown = difference_map(other, GREY)
    assert css(shown[1, 2, 3]) == scale_colours(256)[128]
    changed = (shown != shown[0, 0, 0]).any(-1)
    assert np.argwhere(changed).tolist() == [[1, 2, 3]]


def test_lightness_rises_with_the_difference() -> None:
    lightness = [sum(bytes.fromhex(colour[1:])) for colour in scale_colours(9)]
    assert lightness == sorted(lightness)
