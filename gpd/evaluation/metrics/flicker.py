"""Flicker in VBench's form: how little neighbouring frames differ."""

import numpy as np


def flicker(frames: np.ndarray) -> np.ndarray:
    """1 - mean |frame[t + 1] - frame[t]| / 255 of each clip [N]; 1 is a still picture.

    Args:
        frames: uint8 [N, F, H, W, 3], F >= 2.
    """
    return np.array([1.0 - _mean_step(clip) / 255.0 for clip in frames])


def _mean_step(clip: np.ndarray) -> float:
    return float(np.abs(np.diff(clip.astype(np.int16), axis=0)).mean(dtype=np.float64))
