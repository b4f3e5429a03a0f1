"""Whether clips show what their captions say, as the oracle of the miniature's world reads them."""

import numpy as np

from gpd.evaluation.metric import Measure, Metric
from gpd.tiny import oracle


def agreement(frames: np.ndarray, captions: list[str]) -> tuple[np.ndarray, ...]:
    """1.0 or 0.0 of each clip [N], for each of the oracle's properties; uint8 frames [N, F, H, W, 3]."""
    return tuple(oracle.agreement(frames, captions).values())


AGREEMENT = Measure(
    agreement,
    tuple(f"agreement_{name}" for name in oracle.PROPERTIES),
    ("frames", "captions"),
    applies=oracle.is_readable,
)
MEANINGS = {
    "colour": "Share of clips whose colour is the caption's.",
    "shape": "Share of clips whose shape is the caption's.",
    "direction": "Share of clips that move as the caption says.",
    "speed": "Share of clips whose speed is the caption's.",
    "background": "Share of clips whose background is the caption's.",
}
HEADLINES = {"colour", "shape"}

METRICS = tuple(
    Metric(
        name=f"agreement_{name}",
        label=f"Right {name}",
        direction="higher",
        meaning=MEANINGS[name],
        cost="8 ms a clip of the miniature, all five; its captions only",
        measure=AGREEMENT,
        row=f"agreement_{name}",
        place=80,
        headline=name if name in HEADLINES else None,
    )
    for name in oracle.PROPERTIES
)
