"""Colour: saturation, brightness, burnt pixels, and the shift of the mean colour."""

import cv2
import numpy as np

from gpd.evaluation.formula import Ratio
from gpd.evaluation.metric import Measure, Metric


def saturation(frames: np.ndarray) -> np.ndarray:
    """Mean HSV saturation [N], 0..1, of uint8 frames [N, F, H, W, 3]."""
    high, low = frames.max(-1).astype(np.float32), frames.min(-1).astype(np.float32)
    return _mean((high - low) / np.maximum(high, 1.0))


def brightness(frames: np.ndarray) -> np.ndarray:
    """Mean HSV value [N], 0..1, of uint8 frames [N, F, H, W, 3]."""
    return _mean(frames.max(-1)) / 255.0


def clipped_share(frames: np.ndarray) -> np.ndarray:
    """Share [N] of pixels with a channel at 0 or 255: burnt or drowned."""
    return _mean((frames == 0).any(-1) | (frames == 255).any(-1))


def mean_lab(frames: np.ndarray) -> np.ndarray:
    """Mean CIE L*a*b* colour [N, 3] of uint8 frames [N, F, H, W, 3]."""
    return np.stack([_clip_lab(clip) for clip in frames])


def _clip_lab(clip: np.ndarray) -> np.ndarray:
    """OpenCV keeps 8-bit Lab as L * 255 / 100, a + 128, b + 128."""
    image = cv2.cvtColor(clip.reshape(-1, clip.shape[-2], 3), cv2.COLOR_RGB2LAB)
    return (np.array(cv2.mean(image)[:3]) - (0.0, 128.0, 128.0)) * (100.0 / 255.0, 1.0, 1.0)


def colour_shift(lab: np.ndarray, reference_lab: np.ndarray) -> np.ndarray:
    """CIE76 distance [N] between mean colours [N, 3]; about 2 can just be seen."""
    distance: np.ndarray = np.linalg.norm(lab - reference_lab, axis=-1)
    return distance


def _mean(values: np.ndarray) -> np.ndarray:
    mean: np.ndarray = values.reshape(len(values), -1).mean(1, dtype=np.float64)
    return mean


def _colour_shift_of_frames(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return colour_shift(mean_lab(frames), mean_lab(reference))


METRICS = (
    Metric(
        name="saturation_ratio",
        label="Saturation",
        direction="one",
        meaning="Mean saturation over the reference's; above 1 is burnt.",
        cost="37 ms/Mpx",
        measure=Measure(saturation, ("saturation",)),
        formula=Ratio(),
        place=60,
    ),
    Metric(
        name="brightness_ratio",
        label="Brightness",
        direction="one",
        meaning="Mean brightness over the reference's.",
        cost="18 ms/Mpx",
        measure=Measure(brightness, ("brightness",)),
        formula=Ratio(),
        place=60,
    ),
    Metric(
        name="clipped_share",
        label="Clipped pixels",
        direction="lower",
        meaning="Share of pixels with a channel at 0 or 255.",
        cost="19 ms/Mpx",
        measure=Measure(clipped_share, ("clipped_share",)),
        decimals=4,
        place=60,
    ),
    Metric(
        name="colour_shift",
        label="Colour shift, Lab",
        direction="lower",
        meaning="Distance of the clip's mean colour from the reference's; 2 can just be seen.",
        cost="8 ms/Mpx; needs pairs",
        measure=Measure(_colour_shift_of_frames, ("colour_shift",), ("frames", "reference_frames")),
        decimals=2,
        place=60,
    ),
)
