import numpy as np
import pytest

from gpd.evaluation.metrics.diversity import diversity, pixel_diversity

RNG = np.random.default_rng(0)


def test_repeated_seeds_have_none() -> None:
    one = RNG.normal(size=(3, 1, 4, 2, 2, 2))
    assert diversity(np.repeat(one, 8, axis=1)).tolist() == [0.0] * 3


def test_by_hand() -> None:
    """Three seeds at 0, 1 and 3: the pairs lie 1, 3 and 2 apart."""
    samples = np.broadcast_to(np.array([0.0, 1.0, 3.0])[None, :, None], (1, 3, 7))
    assert diversity(samples) == pytest.approx([2.0])


def test_independent_normals_are_root_two_apart() -> None:
    assert diversity(RNG.normal(size=(2, 6, 4000))) == pytest.approx([2**0.5] * 2, rel=0.02)


def test_scales_with_the_samples_and_ignores_what_seeds_share() -> None:
    samples = RNG.normal(size=(2, 4, 50))
    assert diversity(0.5 * samples + 3.0) == pytest.approx(0.5 * diversity(samples))


def test_of_pixels_is_the_same_measure() -> None:
    clips = RNG.integers(0, 256, (4, 3, 8, 8, 3), dtype=np.uint8)
    assert pixel_diversity(list(clips)) == pytest.approx(diversity(clips[None] / 255.0)[0], rel=1e-5)
    assert pixel_diversity([clips[0]] * 3) == 0
