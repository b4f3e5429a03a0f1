import numpy as np
import pytest

from gpd.evaluation import profiles
from gpd.evaluation.metrics.fidelity import luma
from tests.evaluation.metrics.test_motion import shifted_texture
from tests.evaluation.metrics.test_spectrum import grating

NOISE = np.random.default_rng(0).integers(0, 256, (4, 33, 48, 64, 3), dtype=np.uint8)


def profile(frames: np.ndarray) -> profiles.Profile:
    return profiles.mean_profile(profiles.measure_profiles(frames), frames.shape[1:])


def test_white_noise_lies_flat_at_its_variance() -> None:
    found, variance = profile(NOISE), luma(NOISE).var()
    # of the first cycle over a picture or clip a part goes with the mean
    assert found.space[1][1:] == pytest.approx(np.full(23, variance), rel=0.1)
    assert found.time[1][1:] == pytest.approx(np.full(15, variance), rel=0.1)


@pytest.mark.parametrize("frequency", [0.125, 0.3125, 0.4375])
def test_a_tone_is_a_peak_at_its_frequency(frequency: float) -> None:
    for axis in (1, 2):
        places, power = profile(grating(axis, frequency)).space
        assert places[power.argmax()] == pytest.approx(frequency)
    places, power = profile(grating(0, frequency)).time
    assert places[power.argmax()] == pytest.approx(frequency)
    assert power.max() > 100 * np.median(power)


def test_a_frozen_clip_has_a_spectrum_in_space_alone() -> None:
    frozen = np.repeat(NOISE[:1, :1], 9, axis=1)
    found = profile(frozen)
    assert found.time[1] == pytest.approx(np.zeros(4), abs=1e-6)
    assert found.motion == pytest.approx(np.zeros(8), abs=1e-6)
    assert found.space[1].min() > 0


@pytest.mark.parametrize("step_px", [1, 2, 3])
def test_motion_of_a_moving_texture_is_its_step_at_each_pair(step_px: int) -> None:
    found = profile(shifted_texture(step_px))
    assert found.motion == pytest.approx(np.full(5, step_px), rel=0.1)
    assert (found.motion_top >= found.motion).all()


def test_motion_says_when() -> None:
    moving = shifted_texture(2)
    stopped = np.concatenate([moving, np.repeat(moving[:, -1:], 3, axis=1)], axis=1)
    found = profile(stopped).motion
    assert found[:5].min() > 1.5
    assert found[5:] == pytest.approx(np.zeros(3), abs=1e-6)


def test_a_profile_is_the_mean_over_clips() -> None:
    single = [profile(NOISE[row : row + 1]).space[1] for row in range(4)]
    assert profile(NOISE).space[1] == pytest.approx(np.mean(single, axis=0))
