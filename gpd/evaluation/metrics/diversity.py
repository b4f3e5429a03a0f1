"""How much the samples of one prompt differ from seed to seed."""

import itertools

import numpy as np

from gpd.evaluation.formula import Ratio
from gpd.evaluation.metric import Measure, Metric


def diversity(samples: np.ndarray) -> np.ndarray:
    """Mean distance over all pairs of seeds [P], root mean square a latent value; 0 when the seeds collapse.

    Args:
        samples: [P, S, ...] latents of P prompts with S >= 2 seeds each.
    """
    flat = samples.reshape(*samples.shape[:2], -1).astype(np.float64)
    first, second = np.triu_indices(flat.shape[1], 1)
    distances = np.sqrt(np.square(flat[:, first] - flat[:, second]).mean(-1))
    mean: np.ndarray = distances.mean(1)
    return mean


def pixel_diversity(clips: list[np.ndarray]) -> float:
    """The same of one prompt's clips, S >= 2 of uint8 [F, H, W, 3], in units of the pixels' range 0..1.

    Pair by pair: whole clips in float64 side by side would not fit in memory.
    """
    pairs = itertools.combinations(clips, 2)
    squares = [np.square(first.astype(np.float32) - second).mean(dtype=np.float64) for first, second in pairs]
    return float(np.sqrt(squares).mean() / 255.0)


METRICS = (
    Metric(
        name="diversity_ratio",
        label="Diversity",
        direction="one",
        meaning="Distance between seeds of one prompt over the reference's; below 1 is collapse.",
        cost="sampling of further seeds of each prompt, 2 at least",
        measure=Measure(diversity, ("diversity",), ("several",), of_clips=pixel_diversity),
        formula=Ratio(),
        place=70,
        column="diversity",
    ),
)
