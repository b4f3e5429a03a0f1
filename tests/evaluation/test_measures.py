import cv2
import numpy as np
import pytest

from gpd.evaluation.measures import (
    join,
    measure_batch,
    measure_clips,
    score,
    score_several,
)
from gpd.evaluation.metric import Batch, Rows
from gpd.evaluation.metrics import METRICS
from gpd.evaluation.score import Score
from gpd.tiny.clips import all_scenes, draw

RNG = np.random.default_rng(0)
FRAMES = np.stack([draw(scene, index) for index, scene in enumerate(all_scenes()[::150])])
LATENTS = RNG.normal(size=(len(FRAMES), 2, 3, 2, 2)).astype(np.float32)
SEEDS = np.zeros(len(FRAMES), int)
REFERENCE = measure_batch(Batch(FRAMES, LATENTS))


def scores_of(frames: np.ndarray) -> dict[str, float]:
    measures = measure_batch(Batch(frames, LATENTS, None, FRAMES, LATENTS))
    return {name: found.value for name, found in score(measures, SEEDS, REFERENCE, None).items()}


def test_identity_is_one_or_zero() -> None:
    found = scores_of(FRAMES)
    assert {name: found[name] for name in ("trajectory_error", "colour_shift", "ssim")} == pytest.approx(
        {"trajectory_error": 0, "colour_shift": 0, "ssim": 1}
    )
    for name, value in found.items():
        if METRICS[name].direction == "one":
            assert value == pytest.approx(1), name


def test_frozen_clips_do_not_move_and_do_not_change_in_time() -> None:
    found = scores_of(np.repeat(FRAMES[:, :1], FRAMES.shape[1], axis=1))
    for name in ("motion_ratio", "motion_top_ratio", "spectral_time_ratio", "flicker_ratio"):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    assert found["flicker"] == 1


def test_blur_lowers_detail_in_space_and_spares_motion() -> None:
    found = scores_of(np.stack([[cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in clip] for clip in FRAMES]))
    assert found["spectral_space_ratio"] < 0.5
    assert found["motion_top_ratio"] == pytest.approx(1, abs=0.25)


def test_half_the_speed_is_half_the_motion() -> None:
    """Every frame shown twice: between pairs nothing moves."""
    found = scores_of(np.repeat(FRAMES[:, 4:13], 2, axis=1)[:, : FRAMES.shape[1]])
    assert found["motion_top_ratio"] == pytest.approx(0.5, abs=0.05)


def test_grey_loses_saturation_and_shifts_colour() -> None:
    grey = np.repeat(FRAMES.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    found = scores_of(grey)
    assert found["saturation_ratio"] == 0
    assert found["colour_shift"] > 1


def features(number: int, mean: float) -> Rows:
    rng = np.random.default_rng(number)
    return {"latent_features": rng.normal(mean, 1, (number, 4)), "pixel_features": rng.normal(0, 1, (number, 3))}


def test_frechet_needs_enough_samples_and_sees_a_shift() -> None:
    enough, few = features(400, 1.0), {name: rows[:7] for name, rows in features(400, 1.0).items()}
    to_clips = score(enough, np.zeros(400), None, features(300, 0.0))
    assert to_clips["frechet_latent_clips"].value == pytest.approx(4, abs=0.8)
    assert to_clips["frechet_pixel_clips"].value < 0.1
    assert score(few, np.zeros(7), None, features(300, 0.0)).keys() == {"frechet_pixel_clips"}


def test_diversity_ratio_of_shrunken_seeds() -> None:
    samples = RNG.normal(size=(3, 4, 10))
    means = samples.mean(1, keepdims=True)
    own, theirs = (measure_batch(Batch(several=several)) for several in (means + 0.5 * (samples - means), samples))
    found = score_several(own, theirs, 12)["diversity_ratio"]
    assert found.value == pytest.approx(0.5)
    assert found.num_samples == 12


def test_several_seeds_are_compared_by_their_means_over_any_number_of_prompts() -> None:
    own, theirs = {"diversity": np.array([1.0, 2.0])}, {"diversity": np.array([1.0, 2.0, 3.0])}
    assert score_several(own, theirs, 8) == {"diversity_ratio": Score(0.75, 8, None)}
    assert score_several(own, {"diversity": np.zeros(3)}, 8) == {}
    assert score_several({}, theirs, 8) == {}


def test_real_clips_are_measured_by_what_is_set_against_them() -> None:
    found = measure_clips(FRAMES, LATENTS)
    wanted = {name for metric in METRICS.values() if metric.against == "clips" for name in metric.measure.names}
    assert found.keys() == wanted
    for name, rows in found.items():
        assert np.array_equal(rows, REFERENCE[name]), name


def test_what_stands_beside_samples_changes_nothing_that_is_measured_of_them_alone() -> None:
    beside = measure_batch(Batch(FRAMES, LATENTS, None, FRAMES[::-1], LATENTS[::-1]))
    assert REFERENCE.keys() < beside.keys()
    for name, rows in REFERENCE.items():
        assert np.array_equal(rows, beside[name]), name


def test_join_keeps_the_order() -> None:
    parts = join([measure_batch(Batch(FRAMES[some], LATENTS[some])) for some in (slice(1), slice(1, None))])
    for name, values in REFERENCE.items():
        assert parts[name] == pytest.approx(values), name
