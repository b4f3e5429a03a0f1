"""A whole stage multiplies nothing in bfloat16 on a CPU that would emulate it, whatever params ask for.

And where bfloat16 is what networks multiply in, nothing that a student has learnt is rounded away.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gpd import documents
from gpd.core import precision
from gpd.core.precision import multiplies_bfloat16
from gpd.data import encode
from gpd.distillation import distill
from gpd.distillation.networks import load_networks
from gpd.documents import StudentFacts
from gpd.models.families import open_model
from gpd.params import Params, Probe, States
from gpd.sampling.subjects import load_student

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution", "_linear_pointwise", "matmul", "linear"}


class Products(TorchDispatchMode):
    """Collects the formats that products are made in."""

    def __init__(self) -> None:
        super().__init__()
        self.formats: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().rpartition("::")[2].partition(".")[0]
        if name in PRODUCTS or "attention" in name:
            self.formats |= {value.dtype for value in args if isinstance(value, torch.Tensor)}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_are_made_in_a_format_that_the_cpu_has(workspace: Params, dtype: str) -> None:
    stage = workspace.distill.stages["k4"].model_copy(update={"iterations": 2, "batch": 2})
    params = workspace.model_copy(
        update={
            "model": workspace.model.model_copy(update={"dtype": dtype}),
            "distill": workspace.distill.model_copy(
                update={
                    "stages": {**workspace.distill.stages, "k4": stage},
                    "states": States(stream=1.0, clips=0.0, rollouts=0.0),
                    "pool_slots": 2,
                    "probe": Probe(num_states=2),
                }
            ),
        }
    )
    encode.run(params, "0/1")
    with Products() as products:
        distill.run(params, "k4")
    assert torch.float32 in products.formats
    if dtype == "float32" or not multiplies_bfloat16("cpu"):
        assert torch.bfloat16 not in products.formats


MATRIX = "transformer.blocks.0.attn1.to_q.weight"
BELOW = 2.0**-10  # of a weight: bfloat16 rounds by up to 2^-9


def learn_little(folder: Path) -> torch.Tensor:
    """Makes the student one whose matrices are numbers of bfloat16, each made larger by `BELOW`; one of them."""
    network = open_model(folder).load_network(merge_padding=True)
    with torch.no_grad():
        for weight in network.transformer.blocks.parameters():
            weight.copy_(weight.bfloat16().float() * (1 + BELOW))
    network.transformer.save_pretrained(folder / "transformer", safe_serialization=True)
    manifest = documents.load_manifest(folder, StudentFacts)
    documents.write_manifest(folder, manifest.facts, inputs=manifest.inputs, params=manifest.params)
    return network.get_parameter(MATRIX).detach()


def test_what_was_learnt_below_the_resolution_of_bfloat16_is_asked_and_sampled(
    workspace: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the base model is read in bfloat16, its whole students are not."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: True)
    params = workspace.model_copy(update={"model": workspace.model.model_copy(update={"dtype": "bfloat16"})})
    student = Path("data/students/k1")
    learnt = learn_little(student)
    assert not torch.equal(learnt, learnt / (1 + BELOW))
    assert torch.equal(learnt.bfloat16().float(), learnt / (1 + BELOW))  # so reading it in bfloat16 would lose it all

    networks = load_networks(params, "k4", torch.device("cpu"), has_previous=True)
    assert networks.teacher.get_parameter(MATRIX).dtype == torch.bfloat16
    assert networks.previous is not None
    sampled = load_student(params, student, torch.zeros(1, 64), "cpu").network
    for network in (networks.previous, sampled):
        assert torch.equal(network.get_parameter(MATRIX), learnt)
    state = (torch.randn(1, 16, 2, 8, 8), torch.tensor([500.0]), torch.randn(1, 4, 64))
    with torch.no_grad():
        assert torch.equal(sampled(*state), open_model(student).load_network(merge_padding=True)(*state))
