"""Measures of single samples, in batches, and the scores of a subject from them.

Clips are large and measures small: a batch is measured, its frames are let go, and only rows [N, ...] remain.
"""

import numpy as np

from gpd.evaluation.metrics import colour, fidelity, motion, spectrum
from gpd.evaluation.metrics.diversity import diversity
from gpd.evaluation.metrics.flicker import flicker
from gpd.evaluation.metrics.frechet import frechet_distance, latent_features, num_samples_needed, pixel_features
from gpd.evaluation.metrics.score import Score, Statistic, mean_of, over_seeds, ratio_of_means

Measures = dict[str, np.ndarray]  # name -> [N] or [N, D], one row a sample

# metric -> measure that is set against the reference's, and what the reference must exceed for a ratio to mean anything
RATIOS = {
    "motion_ratio": ("flow_median", motion.MIN_MOTION_PX),
    "motion_top_ratio": ("flow_top", motion.MIN_MOTION_PX),
    "spectral_space_ratio": ("spatial_share", 0.0),
    "spectral_time_ratio": ("temporal_share", 0.0),
    "flicker_ratio": ("frame_step", 0.0),
    "saturation_ratio": ("saturation", 0.0),
    "brightness_ratio": ("brightness", 0.0),
}
MEANS = ("flicker", "clipped_share")  # said of a subject alone
PAIRED = ("trajectory_error", "psnr", "ssim", "colour_shift")
FRECHET = {"frechet_latent": "latent_features", "frechet_pixel": "pixel_features"}


def measure(frames: np.ndarray, latents: np.ndarray) -> Measures:
    """What can be said of samples alone: frames uint8 [N, F, H, W, 3] and their latents [N, C, f, h, w]."""
    return measure_frames(frames) | {"latent_features": latent_features(latents)}


def measure_frames(frames: np.ndarray) -> Measures:
    """What can be said of clips alone: uint8 [N, F, H, W, 3], F >= 2, sides of at least 16 px."""
    flow_median, flow_top = motion.flow_magnitudes(frames)
    stillness = flicker(frames)
    return {
        "flow_median": flow_median,
        "flow_top": flow_top,
        "spatial_share": spectrum.spatial_share(frames),
        "temporal_share": spectrum.temporal_share(frames),
        "flicker": stillness,
        "frame_step": 1.0 - stillness,
        "saturation": colour.saturation(frames),
        "brightness": colour.brightness(frames),
        "clipped_share": colour.clipped_share(frames),
        "mean_lab": colour.mean_lab(frames),
        "pixel_features": pixel_features(frames),
    }


def measure_pairs(
    frames: np.ndarray, latents: np.ndarray, reference_frames: np.ndarray, reference_latents: np.ndarray
) -> Measures:
    """What can be said of samples beside the reference on the same prompts and noise."""
    error = fidelity.trajectory_error(latents, reference_latents)
    return {"trajectory_error": error} | measure_frame_pairs(frames, reference_frames)


def measure_frame_pairs(frames: np.ndarray, reference_frames: np.ndarray) -> Measures:
    """What can be said of clips beside others, pair by pair: both uint8 [N, F, H, W, 3] of one shape."""
    return {
        "psnr": fidelity.psnr(frames, reference_frames),
        "ssim": fidelity.ssim(frames, reference_frames),
        "colour_shift": colour.colour_shift(colour.mean_lab(frames), colour.mean_lab(reference_frames)),
    }


def join(batches: list[Measures]) -> Measures:
    """The rows of several batches under each other."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def score(
    measures: Measures, seeds: np.ndarray, reference: Measures | None, clips: Measures | None
) -> dict[str, Score]:
    """Scores of a subject by the names of the catalogue; what cannot be computed is absent.

    Args:
        measures: of the subject, N rows; with the paired ones unless the subject is the reference itself.
        seeds: noise seed of each row, [N].
        reference: measures of the reference, the same N prompts and seeds; None for the reference itself.
        clips: features of real clips, any number of rows; None where there are none.
    """
    means = [name for name in measures if name in (*MEANS, *PAIRED) or name.startswith("agreement_")]
    statistics: dict[str, Statistic] = {name: mean_of(measures[name]) for name in means}
    if reference is not None:
        for name, (measured, floor) in RATIOS.items():
            statistics[name] = ratio_of_means(measures[measured], reference[measured], floor)
        kept = {name: key for name, key in FRECHET.items() if key in measures}
        statistics |= {name: _frechet(measures[key], reference[key], True) for name, key in kept.items()}
    if clips is not None:
        statistics |= {f"{name}_clips": _frechet(measures[key], clips[key], False) for name, key in FRECHET.items()}
    scores = {name: over_seeds(statistic, seeds) for name, statistic in statistics.items()}
    return {name: found for name, found in scores.items() if found is not None}


def score_unpaired(measures: Measures, reference: Measures) -> dict[str, Score]:
    """Scores of clips against other clips, any number of each: what needs no pairs."""
    number = len(next(iter(measures.values())))
    statistics = {name: mean_of(measures[name]) for name in MEANS}
    for name, (measured, floor) in RATIOS.items():
        others = np.full(number, reference[measured].mean())
        statistics[name] = ratio_of_means(measures[measured], others, floor)
    kept = {name: key for name, key in FRECHET.items() if key in measures}
    statistics |= {name: _frechet(measures[key], reference[key], False) for name, key in kept.items()}
    scores = {name: over_seeds(statistic, np.zeros(number)) for name, statistic in statistics.items()}
    return {name: found for name, found in scores.items() if found is not None}


def score_diversity(samples: np.ndarray, reference: np.ndarray) -> Score | None:
    """Diversity over the reference's, from latents [P, S, ...] of the same P prompts; counted in samples."""
    statistic = ratio_of_means(diversity(samples), diversity(reference), 0.0)
    value = statistic(np.arange(len(samples)))
    return None if value is None else Score(value, samples.shape[0] * samples.shape[1], None)


def _frechet(features: np.ndarray, others: np.ndarray, is_paired: bool) -> Statistic:
    """Against the same rows of the reference, or against all real clips."""

    def statistic(rows: np.ndarray) -> float | None:
        first, second = features[rows], others[rows] if is_paired else others
        if min(len(first), len(second)) < num_samples_needed(first.shape[1]):
            return None
        return frechet_distance(first, second)

    return statistic
