from pathlib import Path

import numpy as np
import pytest

from gpd import artifacts, documents
from gpd.artifacts import DamagedError
from gpd.documents import Listing, Point, Sample, SamplesFacts
from gpd.sampling.samples import LISTING, SampleSet, part_name, save_part
from tests.seals import flip

LATENTS = np.random.default_rng(0).normal(size=(7, 2, 3, 1, 2, 2)).astype(np.float32)  # five samples, two further


@pytest.fixture
def found(tmp_path: Path) -> SampleSet:
    """Parts of three rows; the first prompt has further seeds."""
    for index in range(3):
        save_part(tmp_path / part_name(index), LATENTS[3 * index : 3 * index + 3])
    samples = [Sample(id=f"p-{index}", text="a prompt", seed=0, index=index) for index in range(5)]
    further = [samples[0].model_copy(update={"seed": seed}) for seed in (1, 2)]
    points = [Point(index=4, step=1), Point(index=8, step=2)]
    listing = Listing(batch=3, points=points, samples=samples, further=further, diversity=[[0, 5, 6]])
    artifacts.write_json(tmp_path / LISTING, listing.model_dump(mode="json"))
    facts = SamplesFacts(
        subject="k4", solver="euler", steps=2, guidance_scale=1.0, forwards=2, num_samples=5, num_further=2
    )
    documents.write_manifest(tmp_path, facts, inputs={}, params={})
    return SampleSet(tmp_path)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_hold_all_samples_in_order_whatever_their_size(found: SampleSet, size: int) -> None:
    batches = list(found.batches(size))
    assert [sample.index for samples, _ in batches for sample in samples] == [0, 1, 2, 3, 4]
    assert all(len(samples) == len(latents) <= size for samples, latents in batches)
    assert np.array_equal(np.concatenate([latents for _, latents in batches]), LATENTS[:5])


def test_diversity_is_taken_from_the_ends_of_a_prompts_seeds(found: SampleSet) -> None:
    diversity = found.diversity()
    assert diversity is not None
    assert np.array_equal(diversity, LATENTS[None, [0, 5, 6], -1])


def test_views_come_back_as_they_were(tmp_path: Path) -> None:
    view = np.moveaxis(LATENTS, 1, 2)
    save_part(tmp_path / "part", view)
    from safetensors.numpy import load_file

    assert np.array_equal(load_file(tmp_path / "part")["latents"], view)
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize("name", [LISTING, part_name(1), "manifest.json"])
def test_a_flipped_bit_is_found_before_anything_is_measured(found: SampleSet, name: str) -> None:
    flip(found.folder / name)
    with pytest.raises(DamagedError, match=rf"{name}: damaged: its SHA-256 is \w{{64}}, expected"):
        SampleSet(found.folder).latents([3])
