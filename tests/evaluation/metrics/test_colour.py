import numpy as np
import pytest

from gpd.evaluation.metrics import colour


def flat(*rgb: int) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (1, 2, 8, 8, 3))


def test_saturation_and_brightness_by_hand() -> None:
    assert colour.saturation(flat(200, 100, 50)) == pytest.approx([0.75])
    assert colour.brightness(flat(51, 20, 0)) == pytest.approx([0.2])


def test_grey_and_black_have_no_saturation() -> None:
    assert colour.saturation(flat(90, 90, 90)).tolist() == [0.0]
    assert colour.saturation(flat(0, 0, 0)).tolist() == [0.0]


def test_clipped_share_counts_pixels_not_channels() -> None:
    clip = np.array(flat(100, 100, 100))
    clip[0, 0, :4, :, 0] = 255
    clip[0, 0, :4, :, 1] = 0
    assert colour.clipped_share(clip) == pytest.approx([0.25])


def test_lab_of_known_colours() -> None:
    assert colour.mean_lab(flat(255, 255, 255))[0] == pytest.approx([100, 0, 0], abs=0.5)
    assert colour.mean_lab(flat(255, 0, 0))[0] == pytest.approx([53.2, 80.1, 67.2], abs=1.0)


def test_hue_shift_moves_colour_but_not_saturation() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (1, 2, 8, 8, 3), dtype=np.uint8) // np.array([1, 4, 2], np.uint8)
    shifted = np.roll(clip, 1, axis=-1)
    assert colour.colour_shift(colour.mean_lab(shifted), colour.mean_lab(clip))[0] > 20
    assert colour.colour_shift(colour.mean_lab(clip), colour.mean_lab(clip)).tolist() == [0.0]
    assert colour.saturation(shifted) == pytest.approx(colour.saturation(clip))
