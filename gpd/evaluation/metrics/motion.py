"""How much moves: magnitude of dense optical flow (OpenCV's DIS), in pixels a frame."""

import itertools
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from gpd.evaluation.formula import Ratio
from gpd.evaluation.metric import Measure, Metric

TOP_SHARE = 0.05  # the fastest pixels of each pair of frames, as VBench's dynamic degree takes them
MIN_MOTION_PX = 0.05  # below this the flow of a clip is noise, and a ratio to it means nothing


def flow_magnitudes(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and top 5 % of the flow's magnitude, each averaged over the pairs of frames.

    Args:
        frames: uint8 [N, F, H, W, 3], F >= 2, sides of at least 16 px.

    Returns:
        Median [N] and mean of the top 5 % of pixels [N], px a frame.
    """
    magnitudes = [_clip_magnitudes(clip) for clip in frames]
    return np.array([median for median, _ in magnitudes]), np.array([top for _, top in magnitudes])


def pair_magnitudes(clip: np.ndarray) -> Iterator[np.ndarray]:
    """Flow magnitude of all pixels [H * W], px a frame, for each pair of neighbouring frames of [F, H, W, 3]."""
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]
    for before, after in itertools.pairwise(grey):
        yield np.linalg.norm(flow.calc(before, after, None), axis=-1).ravel()


def top_mean(magnitude: np.ndarray) -> float:
    """Mean of the fastest 5 % of pixels."""
    num_top = max(1, round(TOP_SHARE * magnitude.size))
    return np.partition(magnitude, -num_top)[-num_top:].mean()


def _clip_magnitudes(clip: np.ndarray) -> tuple[float, float]:
    medians, tops = zip(*((np.median(pair), top_mean(pair)) for pair in pair_magnitudes(clip)), strict=True)
    return float(np.mean(medians)), float(np.mean(tops))


FLOW = Measure(flow_magnitudes, ("flow_median", "flow_top"))

METRICS = (
    Metric(
        name="motion_ratio",
        label="Motion",
        direction="one",
        meaning="Median optical-flow magnitude over the reference's; below 1 is slow motion.",
        cost="80 ms/Mpx (OpenCV's DIS flow)",
        measure=FLOW,
        row="flow_median",
        formula=Ratio(floor=MIN_MOTION_PX),
        place=30,
    ),
    Metric(
        name="motion_top_ratio",
        label="Motion, fastest 5 %",
        direction="one",
        meaning="Flow of the fastest 5 % of pixels over the reference's; the dynamic degree.",
        cost="none beside Motion",
        measure=FLOW,
        row="flow_top",
        formula=Ratio(floor=MIN_MOTION_PX),
        place=30,
        headline="motion",
        column="motion",
    ),
)
