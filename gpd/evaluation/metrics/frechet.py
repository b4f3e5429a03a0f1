"""Fréchet distance between Gaussians fitted to fixed features of samples. No network is needed.

d^2 = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

Of samples that are paired by prompt and noise it says how well moments match, and is called so: it is 0 for the
reference itself, and two draws of one model with different noise are further apart than a good student is.
"""

from dataclasses import dataclass, replace

import numpy as np

from gpd.evaluation.formula import Formula
from gpd.evaluation.metric import Measure, Metric
from gpd.evaluation.score import Statistic

SAMPLES_PER_FEATURE = 2  # fewer give covariances of such low rank that the distance is mostly their noise


def num_samples_needed(num_features: int) -> int:
    """How many samples each side must have for `num_features` features."""
    return SAMPLES_PER_FEATURE * num_features


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance (squared, as is the custom) between features [N, D] and [M, D].

    Raises:
        ValueError: a side has fewer samples than `num_samples_needed(D)`.
    """
    needed, found = num_samples_needed(first.shape[1]), min(len(first), len(second))
    if found < needed:
        raise ValueError(f"{first.shape[1]} features need {needed} samples on each side, found {found}")
    return frechet_of_moments(*_moments(first), *_moments(second))


def frechet_of_moments(
    first_mean: np.ndarray, first_covariance: np.ndarray, second_mean: np.ndarray, second_covariance: np.ndarray
) -> float:
    """The distance from means [D] and covariances [D, D]; singular covariances are allowed."""
    # (C1 C2)^(1/2) has the trace of (R C2 R)^(1/2) with R = C1^(1/2), which is symmetric: no complex roots.
    root = _symmetric_root(first_covariance)
    mixed = np.linalg.eigvalsh(root @ second_covariance @ root)
    trace_of_root = np.sqrt(np.maximum(mixed, 0.0)).sum()
    spread = np.trace(first_covariance) + np.trace(second_covariance) - 2 * trace_of_root
    return float(np.square(first_mean - second_mean).sum() + max(spread, 0.0))


def latent_features(latents: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each channel over frames and places: [N, C, F, H, W] -> [N, 2 C]."""
    flat = latents.reshape(*latents.shape[:2], -1).astype(np.float64)
    return np.concatenate([flat.mean(-1), flat.std(-1)], axis=1)


def pixel_features(frames: np.ndarray) -> np.ndarray:
    """Colour and change: uint8 [N, F, H, W, 3] -> [N, 15], in units of the range -1..1.

    For red, green and blue: mean, standard deviation, and mean absolute difference along time, height and width.
    """
    return np.stack([_clip_features(clip) for clip in frames])


def _clip_features(clip: np.ndarray) -> np.ndarray:
    channels = np.ascontiguousarray(np.moveaxis(clip, -1, 0)).astype(np.float32) / 127.5 - 1.0
    differences = [np.abs(np.diff(channels, axis=axis)).reshape(3, -1).mean(1) for axis in (1, 2, 3)]
    flat = channels.reshape(3, -1)
    return np.concatenate([flat.mean(1), flat.std(1), *differences]).astype(np.float64)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def _symmetric_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


@dataclass(frozen=True)
class Frechet(Formula):
    """The distance of all rows [N, D] to others [M, D]; the same rows of both if they are paired."""

    def statistic(self, rows: np.ndarray, others: np.ndarray | None, is_paired: bool) -> Statistic | None:
        """The distance of the chosen rows; none if they are too few."""
        if others is None:
            return None

        def distance(chosen: np.ndarray) -> float | None:
            first, second = rows[chosen], others[chosen] if is_paired else others
            if min(len(first), len(second)) < num_samples_needed(first.shape[1]):
                return None
            return frechet_distance(first, second)

        return distance

    def shortfall(self, rows: np.ndarray, others: np.ndarray) -> str:
        """How many there must be."""
        needed = num_samples_needed(rows.shape[1])
        return f"needs {needed} clips on each side, found {len(rows)} and {len(others)}"


LATENTS = Metric(
    name="frechet_latent",
    label="Moment match, latents",
    direction="lower",
    meaning="Fréchet distance of the moments of latent channels to the reference's on the same prompts and noise; "
    "0 for the reference itself. Paired as it is, it says nothing of other draws.",
    cost="nothing; needs 2 samples a feature (64 at 16 channels)",
    measure=Measure(latent_features, ("latent_features",), ("latents",)),
    formula=Frechet(),
    place=20,
    headline="moments",
    column="moments",
    axis="log",
)
PIXELS = Metric(
    name="frechet_pixel",
    label="Moment match, pixels",
    direction="lower",
    meaning="Fréchet distance of the moments of the frames' colour and change to the reference's; 0 for itself.",
    cost="16 ms/Mpx; needs 30 samples a side",
    measure=Measure(pixel_features, ("pixel_features",)),
    formula=Frechet(),
    decimals=4,
    place=20,
)


def _to_clips(metric: Metric) -> Metric:
    return replace(
        metric,
        name=f"{metric.name}_clips",
        label=metric.label.replace("Moment match", "Fréchet to real clips"),
        meaning="The same distance to real clips, which no sample is paired with; the reference's own is its floor.",
        cost=f"as {metric.label}; needs encoded real clips",
        against="clips",
        headline=None,
        column=None,
        axis=None,
    )


METRICS = (LATENTS, PIXELS, _to_clips(LATENTS), _to_clips(PIXELS))
