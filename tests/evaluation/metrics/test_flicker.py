import numpy as np
import pytest

from gpd.evaluation.metrics.flicker import flicker


def test_by_hand() -> None:
    """Steps of 51 and 0: their mean is 25.5, a tenth of the range."""
    levels = np.array([100, 151, 151], np.uint8)
    clip = np.broadcast_to(levels[:, None, None, None], (3, 4, 4, 3))[None]
    assert flicker(clip) == pytest.approx([0.9])


def test_a_fall_counts_like_a_rise() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 8, 3), dtype=np.uint8)
    assert flicker(clip[:, ::-1]) == pytest.approx(flicker(clip))


def test_still_is_one_and_black_to_white_zero() -> None:
    still = np.full((1, 4, 2, 2, 3), 9, np.uint8)
    flashing = np.zeros((1, 4, 2, 2, 3), np.uint8)
    flashing[:, ::2] = 255
    assert flicker(still).tolist() == [1.0]
    assert flicker(flashing).tolist() == [0.0]
