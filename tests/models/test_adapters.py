import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from gpd.artifacts import UserError
from gpd.distillation.optimizers import make_optimizer
from gpd.distillation.trainer import train_stage
from gpd.models import wan
from gpd.models.adapters import make_trainable, merge
from tests.distillation.test_trainer import make_stage
from tests.toy import BlockNetwork, text_of

LATENTS, TIMESTEPS, TEXT = torch.randn(2, 2, 2, 4, 4), torch.tensor([900.0, 100.0]), text_of(1.0, -1.0)


def factors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A and B of every matrix."""
    return {name: weight for name, weight in network.named_parameters() if ".lora_" in name}


def adapted(rank: int = 2, seed: int = 0) -> BlockNetwork:
    """A network with fresh factors."""
    network = BlockNetwork()
    make_trainable(network, rank, seed)
    return network


def moved() -> BlockNetwork:
    """A network whose factors have left their start."""
    network = adapted()
    generator = torch.Generator().manual_seed(1)
    for weight in factors(network).values():
        torch.nn.init.normal_(weight, generator=generator)
    return network


def test_the_matrix_of_two_factors_by_hand() -> None:
    network = adapted(rank=1)
    down, up = list(factors(network).values())[:2]
    down.data, up.data = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[10.0], [-1.0], [0.0], [0.0]])
    merge(network)
    change = network.blocks[0].weight - BlockNetwork().blocks[0].weight
    expected = torch.tensor([[10.0, 20.0, 30.0, 40.0], [-1.0, -2.0, -3.0, -4.0], [0.0] * 4, [0.0] * 4])
    assert torch.allclose(change, expected, atol=1e-5)


def test_the_first_student_is_the_previous_one_to_the_last_bit() -> None:
    network = BlockNetwork()
    before = network(LATENTS, TIMESTEPS, TEXT)
    make_trainable(network, 4, seed=0)
    assert torch.equal(network(LATENTS, TIMESTEPS, TEXT), before)
    merge(network)
    assert torch.equal(network(LATENTS, TIMESTEPS, TEXT), before)


def test_factors_depend_on_the_seed_alone_and_differ_between_blocks() -> None:
    first = factors(adapted())
    torch.randn(3)
    second, other = factors(adapted()), factors(adapted(seed=1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    downs = [weight for name, weight in first.items() if ".lora_A." in name]
    assert len(downs) == 2
    assert not torch.equal(*downs)
    assert not torch.equal(downs[0], next(weight for name, weight in other.items() if ".lora_A." in name))


def test_new_factors_draw_nothing_from_the_common_generator() -> None:
    torch.manual_seed(0)
    expected = torch.randn(3)
    network = BlockNetwork()
    torch.manual_seed(0)
    make_trainable(network, 2, seed=0)
    assert torch.equal(torch.randn(3), expected)


def test_only_the_factors_are_trainable_and_adamw_has_all_of_them() -> None:
    network = adapted()
    trainable = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert trainable == set(factors(network))
    assert len(trainable) == 4
    optimizer = make_optimizer(network, learning_rate=0.1, weight_decay=0.0)
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in factors(network).values()}


def test_factors_are_float32_beside_weights_of_half_the_size() -> None:
    network = BlockNetwork().bfloat16()
    make_trainable(network, 2, seed=0)
    assert {weight.dtype for weight in factors(network).values()} == {torch.float32}


def test_without_a_rank_every_weight_is_trained_and_plain() -> None:
    network = BlockNetwork().requires_grad_(False)
    names = list(network.state_dict())
    make_trainable(network, 0, seed=0)
    assert all(weight.requires_grad for weight in network.parameters())
    assert list(network.state_dict()) == names


def test_a_merged_network_is_the_same_and_plain() -> None:
    network = moved()
    before = network(LATENTS, TIMESTEPS, TEXT)
    assert not torch.allclose(before, BlockNetwork()(LATENTS, TIMESTEPS, TEXT))
    merge(network)
    assert torch.allclose(network(LATENTS, TIMESTEPS, TEXT), before, atol=1e-5)
    assert set(network.state_dict()) == set(BlockNetwork().state_dict())
    assert {type(block) for block in network.blocks} == {torch.nn.Linear}


def test_the_merged_matrix_differs_by_the_rank() -> None:
    network = moved()
    merge(network)
    difference = network.blocks[0].weight - BlockNetwork().blocks[0].weight
    assert torch.linalg.matrix_rank(difference, atol=1e-5).item() == 2


def test_a_copy_survives_the_merging_of_the_other() -> None:
    first = moved()
    second = copy.deepcopy(first)
    before = second(LATENTS, TIMESTEPS, TEXT)
    merge(first)
    assert torch.equal(second(LATENTS, TIMESTEPS, TEXT), before)


def test_a_rank_that_a_matrix_cannot_have_is_named() -> None:
    message = r"params.yaml: distill.lora_rank=5 is more than blocks.0.weight can have: it is \[4, 4\], of rank 4"
    with pytest.raises(UserError, match=message):
        make_trainable(BlockNetwork(), 5, seed=0)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_training_moves_the_matrices_of_the_blocks_and_nothing_else(tmp_path: Path, ema_decay: float) -> None:
    stage = make_stage(tmp_path, 2, 1, 8, lora_rank=1, ema_decay=ema_decay)
    published, _ = train_stage(dataclasses.replace(stage, student=BlockNetwork()), Accelerator(cpu=True))
    before, after = BlockNetwork().state_dict(), published.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "blocks.0.weight",
        "blocks.1.weight",
    }


@pytest.mark.parametrize(("rank", "is_reached"), [(1, False), (2, True), (4, True)])
def test_a_change_of_rank_two_is_learnt_by_factors_of_rank_two_and_not_of_one(rank: int, is_reached: bool) -> None:
    start = BlockNetwork().blocks[0]
    wanted = start.weight.detach() + torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    features = torch.eye(4)
    network = adapted(rank)
    adamw = make_optimizer(network, learning_rate=0.03, weight_decay=0.0)
    for _ in range(300):
        loss = (network.blocks[0](features) - features @ wanted.T - start.bias.detach()).square().sum()
        loss.backward()
        adamw.step()
        adamw.zero_grad()
    assert loss.item() == pytest.approx(0.0 if is_reached else 1.0, abs=1e-3)  # what rank 1 leaves is one 1


def test_the_published_folder_is_a_plain_one(tmp_path: Path, small_wan: Path) -> None:
    stage = make_stage(tmp_path / "work", 2, 1, 2, states={"stream": 1.0, "clips": 0.0}, lora_rank=3)
    stage = dataclasses.replace(
        stage,
        student=wan.load_network(small_wan, merge_padding=True),
        latent_shape=(16, 2, 4, 4),
        texts=[torch.full((2, 64), 0.5)] * 3,
        negative=torch.zeros(1, 64),
        clips=[],
    )
    published, _ = train_stage(stage, Accelerator(cpu=True))
    folder = tmp_path / "student"
    wan.save_student(folder, published.transformer, small_wan, grid_steps=48, shift=3.0)
    files = [load_file(base / "transformer/diffusion_pytorch_model.safetensors") for base in (folder, small_wan)]
    assert {name: weight.shape for name, weight in files[0].items()} == {
        name: weight.shape for name, weight in files[1].items()
    }
    noise, text = torch.randn(1, 16, 2, 4, 4), torch.full((1, 2, 64), 0.5)
    with torch.no_grad():
        ours = published(noise, torch.tensor([900.0]), text)
        theirs = wan.load_network(folder, merge_padding=True)(noise, torch.tensor([900.0]), text)
        first = wan.load_network(small_wan, merge_padding=True)(noise, torch.tensor([900.0]), text)
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, first)
