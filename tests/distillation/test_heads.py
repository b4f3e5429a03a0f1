"""A headed student and its fold as folders: trained, sampled, released."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gpd import documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.distillation import distill
from gpd.documents import Probed, StudentFacts
from gpd.models.families import open_model
from gpd.params import Params, Probe, States
from gpd.release.student import open_student
from gpd.sampling.subjects import load_student
from tests.models.wan.states import CAPTION, distance
from tests.plain import plain_latents


def chain(workspace: Params) -> Params:
    """k4 with heads, then its fold, both quickly."""
    quickly = {"previous": workspace.model.path, "iterations": 3, "batch": 2, "learning_rate": 0.01, "tail": 4}
    headed = workspace.distill.stages["k4"].model_copy(update=quickly)
    fold = headed.model_copy(update={"previous": "data/students/k4", "objective": "fold"})
    changes = {
        "objective": "parallel",
        "stages": {"k4": headed, "k4-fold": fold},
        "pool_slots": 2,
        "probe": Probe(num_states=2),
        "states": States(stream=1.0, clips=0.0, rollouts=0.0),
    }
    return workspace.model_copy(update={"distill": workspace.distill.model_copy(update=changes)})


def test_a_headed_student_is_sampled_here_and_its_fold_everywhere(workspace: Params) -> None:
    params, noise = chain(workspace), seeded_noise((16, 2, 8, 8), seed=0, index=0)[None]
    text = open_model(params.model.path).load_text_encoder().encode([CAPTION])

    def ours(name: str) -> Tensor:
        subject = load_student(params, Path("data/students") / name, torch.zeros(1, 64), "cpu")
        assert subject.forwards == 2
        return subject.walk([noise[0]], text)[-1]

    facts = {}
    for name in ("k4", "k4-fold"):
        distill.run(params, name)
        assert not documents.verify(Path("data/students") / name)
        facts[name] = documents.load_manifest(Path("data/students") / name, StudentFacts).facts
    assert (facts["k4"].heads, facts["k4-fold"].heads) == (8, None)
    assert isinstance(facts["k4-fold"].before, Probed)
    assert distance(ours("k4"), noise) > 0.1
    plain = plain_latents(Path("data/students/k4-fold"), CAPTION, noise, steps=2)
    assert distance(ours("k4-fold"), plain) < 1e-4

    assert open_student(params, "k4-fold").grid.num_steps == 2
    with pytest.raises(UserError, match=r"^data/students/k4: a student with heads=8, no plain pipeline; fold it first"):
        open_student(params, "k4")


def test_a_chain_of_heads_grows_its_blocks(workspace: Params) -> None:
    """The second stage goes on with the heads of the first, which none of its targets evaluates."""
    params = chain(workspace)
    first = params.distill.stages["k4"].model_copy(update={"horizon": 2, "tail": 2})
    second = params.distill.stages["k4"].model_copy(update={"previous": "data/students/k2"})
    stages = {"stages": {"k2": first, "k4": second}}
    params = params.model_copy(update={"distill": params.distill.model_copy(update=stages)})
    for name in ("k2", "k4"):
        distill.run(params, name)
    facts = documents.load_manifest(Path("data/students/k4"), StudentFacts).facts
    assert facts.heads == 8
    assert facts.forwards["previous"] == 0
