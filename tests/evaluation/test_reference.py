from pathlib import Path

import numpy as np
import pytest
import torch

from gpd import documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.evaluation import reference
from gpd.params import Params
from gpd.sampling.reference_set import ReferenceSet
from tests.workspace import NUM_PROMPTS


def test_each_prompt_once_a_seed(workspace: Params) -> None:
    samples = ReferenceSet(Path("data/reference")).samples
    assert [(sample.seed, sample.index) for sample in samples] == [(s, i) for s in (0, 1) for i in range(NUM_PROMPTS)]
    assert len({sample.text for sample in samples}) == NUM_PROMPTS


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_parts_hold_all_rows_in_order_whatever_the_batch(workspace: Params, batch: int) -> None:
    found = ReferenceSet(Path("data/reference"))
    parts = list(found.parts(batch))
    assert [sample for part in parts for sample in part.samples] == found.samples
    assert all(len(part.samples) == len(part.latents) == len(part.frames) <= batch for part in parts)
    whole = np.concatenate([part.latents for part in found.parts(100)])
    assert np.array_equal(np.concatenate([part.latents for part in parts]), whole)


def test_trajectories_hold_the_points_of_the_last_student(workspace: Params) -> None:
    found = ReferenceSet(Path("data/reference"))
    part = next(found.parts(1))
    assert found.points == [4, 8]
    assert part.latents.shape == (1, 2, 16, 2, 8, 8)
    assert part.frames.shape == (1, 5, 64, 64, 3)
    assert found.diversity is not None
    assert found.diversity.shape == (2, 2, 16, 2, 8, 8)


def test_noise_is_that_of_seed_and_index(workspace: Params) -> None:
    """The first diversity seed is the first seed of the reference: the same prompt and noise end in the same latent."""
    found = ReferenceSet(Path("data/reference"))
    assert found.diversity is not None
    first = next(found.parts(1)).latents[0, -1]
    assert np.allclose(found.diversity[0, 0], first, atol=1e-4)
    assert not np.allclose(found.diversity[0, 1], first, atol=1e-2)
    assert not torch.equal(seeded_noise((4,), seed=0, index=1), seeded_noise((4,), seed=1, index=0))


def test_measures_have_a_row_for_each_sample(workspace: Params) -> None:
    measures = ReferenceSet(Path("data/reference")).measures
    assert {len(values) for values in measures.values()} == {2 * NUM_PROMPTS}
    assert "agreement_colour" in measures


def test_manifest_counts_forwards(workspace: Params) -> None:
    manifest = documents.load_manifest(Path("data/reference"), documents.ReferenceFacts)
    assert manifest["facts"]["forwards"] == (2 * NUM_PROMPTS + 4) * 8 * 2
    assert documents.verify(Path("data/reference")) == []


def test_too_few_prompts_leave_the_old_folder(workspace: Params) -> None:
    many = workspace.reference.model_copy(update={"num_prompts": 99})
    with pytest.raises(UserError, match=r"reference.num_prompts=99, but data/prompts/prompts.jsonl holds 4"):
        reference.run(workspace.model_copy(update={"reference": many}))
    assert documents.verify(Path("data/reference")) == []


def test_diversity_can_be_left_out(workspace: Params) -> None:
    none = workspace.evaluate.model_copy(update={"diversity_prompts": 0})
    reference.run(workspace.model_copy(update={"evaluate": none}))
    assert ReferenceSet(Path("data/reference")).diversity is None
    assert (
        documents.load_manifest(Path("data/reference"), documents.ReferenceFacts).facts.forwards
        == 2 * NUM_PROMPTS * 8 * 2
    )
