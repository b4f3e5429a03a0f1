import torch

from gpd.distillation.optimizers import make_optimizer
from tests.toy import BlockNetwork


def test_every_trainable_weight_is_moved_and_no_other() -> None:
    network = BlockNetwork()
    frozen = network.blocks[0].requires_grad_(False).weight.clone()
    optimizer = make_optimizer(network, learning_rate=0.1, weight_decay=0.0)
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in network.parameters() if weight.requires_grad}
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert torch.equal(network.blocks[0].weight, frozen)
