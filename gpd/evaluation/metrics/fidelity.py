"""How near a sample is to the reference on the same prompt and noise."""

import cv2
import numpy as np

from gpd.evaluation.metric import Measure, Metric

MIN_MSE = 1 / 12  # variance of rounding to 8 bits: equal frames are equal up to this, so PSNR ends at 58.9 dB
SSIM_SIGMA_PX, SSIM_RADIUS_PX = 1.5, 5  # Wang et al. 2004: 11 x 11 Gaussian window
SSIM_K1, SSIM_K2 = 0.01, 0.03


def trajectory_error(latents: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """norm(latents - reference) / norm(reference) of each sample [N]; latents [N, ...] of one shape."""
    difference = np.linalg.norm((latents - reference).reshape(len(latents), -1), axis=1)
    error: np.ndarray = difference / np.linalg.norm(reference.reshape(len(latents), -1), axis=1)
    return error


def psnr(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB [N] of uint8 frames [N, F, H, W, 3], at most 58.9."""
    difference = frames.astype(np.float32) - reference.astype(np.float32)
    mse = np.square(difference).reshape(len(frames), -1).mean(1, dtype=np.float64)
    decibels: np.ndarray = 10 * np.log10(255.0**2 / np.maximum(mse, MIN_MSE))
    return decibels


def ssim(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Structural similarity [N] of the luma of uint8 frames [N, F, H, W, 3], at most 1."""
    return np.array([_clip_ssim(a, b) for a, b in zip(luma(frames), luma(reference), strict=True)])


def luma(frames: np.ndarray) -> np.ndarray:
    """BT.601 luma 0..255, float32 [N, F, H, W], of uint8 frames [N, F, H, W, 3]."""
    return frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def _clip_ssim(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean([_frame_ssim(a, b) for a, b in zip(first, second, strict=True)]))


def _frame_ssim(first: np.ndarray, second: np.ndarray) -> float:
    mean_first, mean_second = _window_mean(first), _window_mean(second)
    variance_first = _window_mean(first * first) - mean_first**2
    variance_second = _window_mean(second * second) - mean_second**2
    covariance = _window_mean(first * second) - mean_first * mean_second
    c1, c2 = (SSIM_K1 * 255) ** 2, (SSIM_K2 * 255) ** 2
    likeness = (2 * mean_first * mean_second + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_first**2 + mean_second**2 + c1) * (variance_first + variance_second + c2))).mean())


def _window_mean(image: np.ndarray) -> np.ndarray:
    """Gaussian mean of each window that lies wholly inside the image."""
    size, margin = 2 * SSIM_RADIUS_PX + 1, SSIM_RADIUS_PX
    blurred = cv2.GaussianBlur(image, (size, size), SSIM_SIGMA_PX)
    inside: np.ndarray = blurred[margin:-margin, margin:-margin]
    return inside if inside.size else blurred


METRICS = (
    Metric(
        name="trajectory_error",
        label="Trajectory error",
        direction="lower",
        meaning="Distance of the final latent from the reference on the same prompt and noise, relative to its length.",
        cost="nothing; needs the reference on the same noise",
        measure=Measure(trajectory_error, ("trajectory_error",), ("latents", "reference_latents")),
        place=10,
        headline="error",
        column="error",
        axis="linear",
    ),
    Metric(
        name="psnr",
        label="PSNR, dB",
        direction="higher",
        meaning="Pixel fidelity of the decoded frames to the reference; 58.9 is identity.",
        cost="5 ms/Mpx; needs pairs",
        measure=Measure(psnr, ("psnr",), ("frames", "reference_frames")),
        decimals=2,
        place=10,
    ),
    Metric(
        name="ssim",
        label="SSIM",
        direction="higher",
        meaning="Structural similarity of the decoded frames to the reference; 1 is identity.",
        cost="11 ms/Mpx; needs pairs",
        measure=Measure(ssim, ("ssim",), ("frames", "reference_frames")),
        place=10,
    ),
)
