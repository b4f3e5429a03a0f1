"""Where the first states of trajectories come from."""

import dataclasses
from pathlib import Path

import pytest
import torch

from gpd.core.sampler import walk
from gpd.core.velocity import guided, unguided
from gpd.distillation.states.walks import walk_forwards, walk_from_noise
from tests.distillation.test_trainer import SHAPE, make_stage
from tests.toy import GaussianField, text_of

ENDS = torch.tensor([0, 2, 16, 2, 19])
PROMPTS = torch.tensor([2, 0, 1, 1, 0])  # texts .5, 1, -1, -1, 1


@pytest.mark.parametrize("has_previous", [True, False])
def test_each_walks_to_its_own_index_eight_intervals_an_evaluation(tmp_path: Path, has_previous: bool) -> None:
    """With the mean guidance scale of the stage; the student before, if there is one, walks without guidance."""
    stage = make_stage(tmp_path, 8, 4 if has_previous else 8, 1, guidance={"start": 6.0, "end": 1.5})
    if has_previous:
        stage = dataclasses.replace(stage, previous=GaussianField(spread=0.8))
    noise = torch.randn(len(ENDS), *SHAPE, generator=torch.Generator().manual_seed(0))
    found = walk_from_noise(stage, noise.clone(), PROMPTS, ENDS)
    assert torch.equal(found[0], noise[0])
    for row, (end, mean) in enumerate(zip(ENDS.tolist(), (0.5, 1.0, -1.0, -1.0, 1.0), strict=True)):
        teacher = guided(stage.teacher, text_of(mean), stage.negative[None], torch.tensor([3.75]))
        field = unguided(GaussianField(spread=0.8), text_of(mean)) if has_previous else teacher
        expected = walk(field, noise[row : row + 1], torch.tensor([0]), end, 8, stage.grid)
        assert torch.allclose(found[row], expected[0], atol=1e-6)


def test_walks_cost_what_the_networks_count(tmp_path: Path) -> None:
    assert walk_forwards(torch.tensor([0, 2, 8, 9]), has_previous=True) == {"previous": 0 + 1 + 1 + 2}
    assert walk_forwards(torch.tensor([0, 2, 8, 9]), has_previous=False) == {"teacher": 2 * 4}
    stage = make_stage(tmp_path, 8, 8, 1)
    walk_from_noise(stage, torch.zeros(len(ENDS), *SHAPE), PROMPTS, ENDS)
    assert {"teacher": stage.teacher.num_forwards} == walk_forwards(ENDS, has_previous=False)
