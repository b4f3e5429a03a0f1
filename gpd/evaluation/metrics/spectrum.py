"""Fine detail and fast change: the share of a clip's energy above 0.25 cycles a sample, half of Nyquist."""

import numpy as np

from gpd.evaluation.formula import Ratio
from gpd.evaluation.metric import Measure, Metric
from gpd.evaluation.metrics.fidelity import luma

CUTOFF = 0.25  # cycles a sample


def spatial_share(frames: np.ndarray) -> np.ndarray:
    """Share [N] of the luma's energy at spatial frequencies above the cut-off; blur lowers it, grid noise raises it.

    Args:
        frames: uint8 [N, F, H, W, 3].
    """
    return np.array([_spatial_share(clip) for clip in luma(frames)])


def temporal_share(frames: np.ndarray) -> np.ndarray:
    """Share [N] of the luma's energy at temporal frequencies above the cut-off; 0 for a frozen clip.

    Args:
        frames: uint8 [N, F, H, W, 3].
    """
    return np.array([_temporal_share(clip) for clip in luma(frames)])


def _spatial_share(clip: np.ndarray) -> float:
    """A Hann window, because an image does not go on at its other edge; total energy is about the mean grey."""
    _, height, width = clip.shape
    window = hann(height)[:, None] * hann(width)[None, :]
    energy = np.square(np.abs(np.fft.fft2((clip - clip.mean()) * window))).sum(0)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    return _share_above(energy, radius)


def _temporal_share(clip: np.ndarray) -> float:
    num_frames = len(clip)
    energy = np.square(np.abs(np.fft.fft((clip - clip.mean()) * hann(num_frames)[:, None, None], axis=0))).sum((1, 2))
    return _share_above(energy, np.abs(np.fft.fftfreq(num_frames)))


def hann(size: int) -> np.ndarray:
    """Between the sample points, so that no sample has weight 0 and a constant leaks into its two neighbours only."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)).astype(np.float32)


def _share_above(energy: np.ndarray, frequency: np.ndarray) -> float:
    total = energy.sum()
    return float(energy[frequency > CUTOFF].sum() / total) if total > 0 else 0.0


METRICS = (
    Metric(
        name="spectral_space_ratio",
        label="Detail in space",
        direction="one",
        meaning="Share of energy above 0.25 cycles/pixel over the reference's; below 1 is blur.",
        cost="20 ms/Mpx",
        measure=Measure(spatial_share, ("spatial_share",)),
        formula=Ratio(),
        place=40,
        headline="detail",
        column="detail, space",
    ),
    Metric(
        name="spectral_time_ratio",
        label="Detail in time",
        direction="one",
        meaning="Share of energy above 0.25 cycles/frame over the reference's; below 1 is smoothing.",
        cost="18 ms/Mpx",
        measure=Measure(temporal_share, ("temporal_share",)),
        formula=Ratio(),
        place=40,
        column="detail, time",
    ),
)
