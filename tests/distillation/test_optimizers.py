import pytest
import torch

from gpd.distillation.optimizers import hidden_matrices, make_optimizers
from tests.toy import BlockNetwork


def test_every_weight_has_one_optimiser() -> None:
    network = BlockNetwork()
    optimizers = make_optimizers(network, "muon", learning_rate=0.1, weight_decay=0.0)
    held = [id(weight) for one in optimizers for group in one.param_groups for weight in group["params"]]
    assert sorted(held) == sorted(map(id, network.parameters()))


def test_muon_takes_the_matrices_of_the_blocks_and_nothing_else() -> None:
    network = BlockNetwork()
    assert {id(weight) for weight in hidden_matrices(network)} == {id(block.weight) for block in network.blocks}
    assert len(make_optimizers(network, "adamw", learning_rate=0.1, weight_decay=0.0)) == 1


def test_a_step_of_muon_is_a_scaled_orthogonal_matrix() -> None:
    """The root mean square of its step is 0.2 times the rate, as AdamW's is about (arXiv 2502.16982)."""
    network = BlockNetwork()
    weight = network.blocks[0].weight
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    make_optimizers(network, "muon", learning_rate=0.1, weight_decay=0.0)[1].step()
    step = (before - weight.detach()) / 0.1
    singular = torch.linalg.svdvals(step)
    assert step.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.3)
    assert singular.max() / singular.min() < 2.5  # five Newton-Schulz iterations in bfloat16 come near to 1
