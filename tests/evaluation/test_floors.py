"""What metrics read of the reference itself, of its samples from other noise, and of real clips."""

import json
from pathlib import Path

import numpy as np
import pytest

from gpd import documents
from gpd.documents import Floors
from gpd.evaluation import floors
from gpd.evaluation.measures import measure_batch, measure_clips, score_unpaired
from gpd.evaluation.metric import Batch
from gpd.evaluation.metrics import METRICS
from gpd.params import Params
from gpd.sampling.plan import open_samples


@pytest.fixture
def measured(workspace: Params) -> Floors:
    return documents.load_document(Floors, floors.run(workspace), "")


def test_they_say_what_nothing_trained_reads(workspace: Params, measured: Floors) -> None:
    protocol = json.loads(Path("data/evaluations/reference/evaluation.json").read_text())["protocol"]["hash"]
    itself, other = measured.scores["itself"], measured.scores["other noise"]
    assert measured.protocol == protocol
    assert (itself["trajectory_error"].value, itself["ssim"].value) == (0.0, 1.0)
    ratios = [score.value for name, score in itself.items() if METRICS[name].direction == "one"]
    assert ratios == pytest.approx([1.0] * len(ratios))
    assert other["trajectory_error"].value > 0.1
    assert set(other) == set(itself)
    assert "real clips" not in measured.scores  # the source has none


def test_other_noise_is_met_nowhere_else_and_is_drawn_once(workspace: Params, measured: Floors) -> None:
    listing = open_samples(workspace, "reference").listing
    used = {row.seed for row in [*listing.samples, *listing.further]}
    others = open_samples(floors.with_other_noise(workspace), floors.OTHER_NOISE).listing
    drawn = {row.seed for row in [*others.samples, *others.further]}
    assert not used & drawn
    assert [row.text for row in others.samples] == [row.text for row in listing.samples]
    assert measured.other_seeds == [3, 4]
    manifest = Path("data/samples/other-noise/manifest.json")
    before = manifest.stat().st_mtime_ns
    floors.draw_again(workspace)
    assert manifest.stat().st_mtime_ns == before


def test_real_clips_are_set_against_the_reference_and_against_other_real_clips() -> None:
    rng = np.random.default_rng(0)
    clips, others, reference = (rng.integers(0, 256, (32, 3, 16, 16, 3), dtype=np.uint8) for _ in range(3))
    rows = [measure_batch(Batch(frames=frames)) for frames in (clips, reference)]
    scores = score_unpaired(*rows, measure_clips(others, np.zeros((32, 1, 1, 2, 2))))
    assert {"frechet_pixel", "frechet_pixel_clips", "spectral_space_ratio", "flicker"} <= set(scores)
    assert not {"psnr", "ssim", "trajectory_error", "colour_shift"} & set(scores)
    assert scores["frechet_pixel"].value != scores["frechet_pixel_clips"].value
