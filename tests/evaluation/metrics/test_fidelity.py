import numpy as np
import pytest

from gpd.evaluation.metrics import fidelity

RNG = np.random.default_rng(0)
CLIPS = RNG.integers(40, 200, (2, 3, 24, 20, 3), dtype=np.uint8)


def test_trajectory_error_of_itself_is_zero_and_of_nothing_one() -> None:
    latents = RNG.normal(size=(3, 4, 2, 5, 5)).astype(np.float32)
    assert fidelity.trajectory_error(latents, latents).tolist() == [0, 0, 0]
    assert fidelity.trajectory_error(0 * latents, latents) == pytest.approx([1, 1, 1])
    assert fidelity.trajectory_error(1.1 * latents, latents) == pytest.approx([0.1] * 3, rel=1e-4)


def test_psnr_by_hand() -> None:
    assert fidelity.psnr(CLIPS + np.uint8(10), CLIPS) == pytest.approx([20 * np.log10(25.5)] * 2)


def test_psnr_of_itself_is_finite() -> None:
    assert fidelity.psnr(CLIPS, CLIPS) == pytest.approx([58.92] * 2, abs=0.01)


def test_ssim_of_itself_is_one() -> None:
    assert fidelity.ssim(CLIPS, CLIPS) == pytest.approx([1, 1])


def test_ssim_of_flat_pictures_by_hand() -> None:
    """Without structure only the luminance term is left: (2 a b + c1) / (a^2 + b^2 + c1)."""
    dark, light = (np.full((1, 2, 16, 16, 3), level, np.uint8) for level in (50, 100))
    c1 = 2.55**2
    assert fidelity.ssim(dark, light) == pytest.approx([(2 * 50 * 100 + c1) / (50**2 + 100**2 + c1)], rel=1e-4)


def test_ssim_falls_with_noise() -> None:
    noisy = [np.clip(CLIPS + RNG.normal(0, level, CLIPS.shape), 0, 255).astype(np.uint8) for level in (5, 20, 60)]
    scores = [fidelity.ssim(clips, CLIPS).mean() for clips in noisy]
    assert 1 > scores[0] > scores[1] > scores[2]


def test_unequal_numbers_of_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        fidelity.ssim(CLIPS, CLIPS[:1])
