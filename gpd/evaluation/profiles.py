"""Curves of a clip for a person to look at: power by spatial and temporal frequency, motion by pair of frames.

The ratios of `spectrum` and `motion` put each of these into one number; a curve shows where it comes from.
Cost: one FFT of the luma in space and one in time, and the flow once more.
"""

from dataclasses import dataclass

import numpy as np

from gpd.evaluation.metric import Rows
from gpd.evaluation.metrics.fidelity import luma
from gpd.evaluation.metrics.motion import pair_magnitudes, top_mean
from gpd.evaluation.metrics.spectrum import hann

NAMES = ("space", "time", "motion", "motion_top")


@dataclass(frozen=True)
class Profile:
    """Means over clips; all of a power spectrum is in squared grey levels, so that noise of variance s lies flat at s.

    Attributes:
        space: (cycles a pixel, power), the mean over rings of all directions.
        time: (cycles a frame, power) of what changes: each pixel's own mean is taken away.
        motion: mean flow magnitude of each pair of frames, px a frame.
        motion_top: the same of the fastest 5 % of pixels.
    """

    space: tuple[np.ndarray, np.ndarray]
    time: tuple[np.ndarray, np.ndarray]
    motion: np.ndarray
    motion_top: np.ndarray


def measure_profiles(frames: np.ndarray) -> Rows:
    """Rows [N, ...] for `mean_profile`, of uint8 frames [N, F, H, W, 3]."""
    grey = luma(frames)
    motion = np.stack([motion_by_pair(clip) for clip in frames])
    return {
        "space": np.stack([spatial_power(clip) for clip in grey]),
        "time": np.stack([temporal_power(clip) for clip in grey]),
        "motion": motion[:, 0],
        "motion_top": motion[:, 1],
    }


def mean_profile(rows: Rows, shape: tuple[int, ...]) -> Profile:
    """The mean over clips of `measure_profiles`, with its frequencies; clips are [F, H, W, ...]."""
    num_frames, height, width = shape[:3]
    means = {name: rows[name].mean(0, dtype=np.float64) for name in NAMES}
    return Profile(
        (ring_frequencies(height, width), means["space"]),
        (np.arange(1, num_frames // 2 + 1) / num_frames, means["time"]),
        means["motion"],
        means["motion_top"],
    )


def ring_frequencies(height: int, width: int) -> np.ndarray:
    """Middles of the rings of `spatial_power`, cycles a pixel: multiples of one cycle across the shorter side."""
    size = min(height, width)
    return np.arange(1, size // 2 + 1) / size


def spatial_power(clip: np.ndarray) -> np.ndarray:
    """Power at each of `ring_frequencies`, mean over frames and directions, of luma [F, H, W]."""
    _, height, width = clip.shape
    window = hann(height)[:, None] * hann(width)[None, :]
    centred = clip - clip.mean((1, 2), keepdims=True)
    power = np.square(np.abs(np.fft.fft2(centred * window))).mean(0) / np.square(window).sum()
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    ring = np.rint(radius * min(height, width)).astype(int).ravel()
    sums, counts = np.bincount(ring, power.ravel()), np.bincount(ring)
    return (sums / counts)[1 : min(height, width) // 2 + 1]


def temporal_power(clip: np.ndarray) -> np.ndarray:
    """Power at 1, 2, .. F // 2 cycles a clip, mean over pixels, of luma [F, H, W]; 0 for a frozen clip."""
    window = hann(len(clip))[:, None, None]
    power = np.square(np.abs(np.fft.rfft((clip - clip.mean(0)) * window, axis=0))).mean((1, 2))
    return (power / np.square(window).sum())[1:]


def motion_by_pair(clip: np.ndarray) -> np.ndarray:
    """Mean flow magnitude and that of the fastest 5 % of pixels, [2, F - 1] px a frame, of uint8 [F, H, W, 3]."""
    return np.array([(pair.mean(), top_mean(pair)) for pair in pair_magnitudes(clip)], np.float64).T
