import cv2
import numpy as np
import pytest

from gpd.evaluation.metrics import spectrum

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (2, 16, 32, 32, 3), dtype=np.uint8)


def grating(axis: int, frequency: float) -> np.ndarray:
    """A cosine of `frequency` cycles a sample along axis 0 (time), 1 or 2 of [F, H, W]."""
    phase = 2 * np.pi * frequency * np.arange(32)
    shape = [1, 1, 1]
    shape[axis] = 32
    clip = np.broadcast_to(128 + 100 * np.cos(phase).reshape(shape), (32, 32, 32))
    return np.repeat(np.round(clip)[None, ..., None], 3, -1).astype(np.uint8)


@pytest.mark.parametrize(("frequency", "share"), [(0.125, 0.0), (0.4375, 1.0)])
def test_a_pure_tone_lies_wholly_on_its_side_of_the_cutoff(frequency: float, share: float) -> None:
    assert spectrum.spatial_share(grating(1, frequency)) == pytest.approx([share], abs=0.01)
    assert spectrum.spatial_share(grating(2, frequency)) == pytest.approx([share], abs=0.01)
    assert spectrum.temporal_share(grating(0, frequency)) == pytest.approx([share], abs=0.01)


def test_white_noise_has_the_share_of_the_area() -> None:
    """Outside a circle of radius 1/4 in the unit square: 1 - pi / 16; above 1/4 on a line: 1 / 2."""
    assert spectrum.spatial_share(NOISE).mean() == pytest.approx(1 - np.pi / 16, abs=0.02)
    assert spectrum.temporal_share(NOISE).mean() == pytest.approx(0.5, abs=0.07)


def test_blur_lowers_the_spatial_share() -> None:
    blurred = np.stack([[cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in clip] for clip in NOISE])
    assert (spectrum.spatial_share(blurred) < 0.15 * spectrum.spatial_share(NOISE)).all()


def test_temporal_average_lowers_the_temporal_share_only() -> None:
    mean = ((NOISE[:, :-1].astype(int) + NOISE[:, 1:]) // 2).astype(np.uint8)
    assert (spectrum.temporal_share(mean) < 0.6 * spectrum.temporal_share(NOISE)).all()
    assert spectrum.spatial_share(mean) == pytest.approx(spectrum.spatial_share(NOISE), rel=0.05)


def test_frozen_and_flat_clips_have_no_share() -> None:
    frozen = np.repeat(NOISE[:, :1], 16, axis=1)
    assert spectrum.temporal_share(frozen) == pytest.approx([0, 0], abs=1e-9)
    flat = np.full((1, 8, 16, 16, 3), 77, np.uint8)
    assert spectrum.spatial_share(flat).tolist() == [0.0]
