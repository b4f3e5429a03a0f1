"""How much the samples of one prompt differ from seed to seed."""

import numpy as np


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
