"""Flicker in VBench's form: how little neighbouring frames differ."""

import numpy as np

from gpd.evaluation.formula import Ratio
from gpd.evaluation.metric import Measure, Metric


def flicker(frames: np.ndarray) -> np.ndarray:
    """1 - mean |frame[t + 1] - frame[t]| / 255 of each clip [N]; 1 is a still picture.

    Args:
        frames: uint8 [N, F, H, W, 3], F >= 2.
    """
    return np.array([1.0 - _mean_step(clip) / 255.0 for clip in frames])


def _mean_step(clip: np.ndarray) -> float:
    return float(np.abs(np.diff(clip.astype(np.int16), axis=0)).mean(dtype=np.float64))


def _stillness_and_step(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stillness = flicker(frames)
    return stillness, 1.0 - stillness


CHANGE = Measure(_stillness_and_step, ("flicker", "frame_step"))

METRICS = (
    Metric(
        name="flicker",
        label="Flicker score",
        direction="higher",
        meaning="VBench's form: 1 - mean change between frames. Rewards stillness: read with motion.",
        cost="3 ms/Mpx",
        measure=CHANGE,
        decimals=4,
        place=50,
    ),
    Metric(
        name="flicker_ratio",
        label="Change between frames",
        direction="one",
        meaning="Mean change between frames over the reference's.",
        cost="none beside Flicker score",
        measure=CHANGE,
        row="frame_step",
        formula=Ratio(),
        place=50,
    ),
)
