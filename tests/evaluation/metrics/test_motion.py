import numpy as np
import pytest

from gpd.evaluation.metrics import motion


def shifted_texture(step_px: int, num_frames: int = 6) -> np.ndarray:
    """A smooth random texture that moves right as a whole."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (16, 40))
    texture = np.kron(coarse, np.ones((4, 4)))
    frames = [np.roll(texture, frame * step_px, axis=1)[:, 20:116] for frame in range(num_frames)]
    return np.repeat(np.stack(frames)[..., None], 3, -1).astype(np.uint8)[None]


def test_frozen_clip_has_no_motion() -> None:
    median, top = motion.flow_magnitudes(np.repeat(shifted_texture(2)[:, :1], 5, axis=1))
    assert median == pytest.approx([0], abs=1e-6)
    assert top == pytest.approx([0], abs=1e-6)


@pytest.mark.parametrize("step_px", [1, 2, 3])
def test_median_is_the_step_of_a_moving_texture(step_px: int) -> None:
    median, top = motion.flow_magnitudes(shifted_texture(step_px))
    assert median == pytest.approx([step_px], rel=0.1)
    assert top >= median


def test_top_sees_a_small_moving_thing_that_the_median_does_not() -> None:
    rng = np.random.default_rng(1)
    clip = np.repeat(rng.integers(0, 60, (1, 1, 96, 96, 1), dtype=np.uint8), 6, 1).repeat(3, -1)
    patch = rng.integers(150, 255, (20, 20, 1), dtype=np.uint8)
    for frame in range(6):
        clip[0, frame, 40:60, 20 + 2 * frame : 40 + 2 * frame] = patch
    median, top = motion.flow_magnitudes(clip)
    assert median[0] < 0.1
    assert top[0] > 1.0
