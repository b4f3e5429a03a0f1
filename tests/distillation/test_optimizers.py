import torch

from gpd.distillation.optimizers import make_optimizer, make_room, moments_of
from tests.toy import BlockNetwork, SmallNetwork


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


def test_room_for_moments_moves_no_weight() -> None:
    network = SmallNetwork()
    before = [weight.clone() for weight in network.parameters()]
    optimizer = make_optimizer(network, learning_rate=0.1, weight_decay=0.5)
    make_room(optimizer)
    assert all(torch.equal(weight, old) for weight, old in zip(network.parameters(), before, strict=True))
    assert all(weight.grad is None for weight in network.parameters())
    assert optimizer.param_groups[0]["lr"] == 0.1
    moments = moments_of(optimizer)
    assert set(moments) == {f"{number}.{field}" for number in range(4) for field in ("step", "exp_avg", "exp_avg_sq")}
    assert not any(moment.any() for name, moment in moments.items() if not name.endswith("step"))
