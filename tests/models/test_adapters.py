import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gpd.artifacts import UserError, hash_file
from gpd.distillation.optimizers import make_optimizer
from gpd.models.adapters import (
    HEADER_KEY,
    WEIGHTS_FILE,
    Factors,
    adapted_layers,
    add_factors,
    attach,
    block_matrices,
    check_rank,
    load_factors,
    merge,
    save_factors,
)
from tests.toy import BlockNetwork, text_of

LATENTS, TIMESTEPS, TEXT = torch.randn(2, 2, 2, 4, 4), torch.tensor([900.0, 100.0]), text_of(1.0, -1.0)


def factors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A and B of every matrix."""
    return {name: weight for name, weight in network.named_parameters() if ".lora_" in name}


def adapted(rank: int = 2, seed: int = 0) -> BlockNetwork:
    """A network with fresh factors."""
    network = BlockNetwork()
    add_factors(network, block_matrices(network), "student", rank, seed)
    return network


def moved() -> BlockNetwork:
    """A network whose factors have left their start."""
    network = adapted()
    generator = torch.Generator().manual_seed(1)
    for weight in factors(network).values():
        torch.nn.init.normal_(weight, generator=generator)
    return network


def stored(rank: int = 2) -> Factors:
    """An adapter for `BlockNetwork`."""
    generator = torch.Generator().manual_seed(2)
    shapes = {"lora_A": (rank, 4), "lora_B": (4, rank)}
    names = [(f"blocks.{block}.{side}.weight", shape) for block in (0, 1) for side, shape in shapes.items()]
    return Factors(rank, {name: torch.randn(shape, generator=generator) for name, shape in names})


def test_the_matrix_of_two_factors_by_hand() -> None:
    network = adapted(rank=1)
    down, up = list(factors(network).values())[:2]
    down.data, up.data = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[10.0], [-1.0], [0.0], [0.0]])
    merge(network)
    change = network.blocks[0].weight - BlockNetwork().blocks[0].weight
    expected = torch.tensor([[10.0, 20.0, 30.0, 40.0], [-1.0, -2.0, -3.0, -4.0], [0.0] * 4, [0.0] * 4])
    assert torch.allclose(change, expected, atol=1e-5)


def test_fresh_factors_change_nothing_to_the_last_bit() -> None:
    before = BlockNetwork()(LATENTS, TIMESTEPS, TEXT)
    network = adapted(4)
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
    add_factors(network, block_matrices(network), "student", 2)
    assert torch.equal(torch.randn(3), expected)


def test_a_merged_network_is_the_same_and_plain() -> None:
    network = moved()
    before = network(LATENTS, TIMESTEPS, TEXT)
    assert not torch.allclose(before, BlockNetwork()(LATENTS, TIMESTEPS, TEXT))
    merge(network)
    assert torch.allclose(network(LATENTS, TIMESTEPS, TEXT), before, atol=1e-5)
    assert set(network.state_dict()) == set(BlockNetwork().state_dict())
    assert {type(block) for block in network.blocks} == {torch.nn.Linear}


def test_merging_a_plain_network_changes_nothing() -> None:
    network = BlockNetwork()
    merge(network)
    assert torch.equal(network(LATENTS, TIMESTEPS, TEXT), BlockNetwork()(LATENTS, TIMESTEPS, TEXT))


def test_the_merged_matrix_differs_by_the_rank() -> None:
    network = moved()
    merge(network)
    difference = network.blocks[0].weight - BlockNetwork().blocks[0].weight
    assert torch.linalg.matrix_rank(difference, atol=1e-5).item() == 2


def test_a_rank_that_a_matrix_cannot_have_is_named() -> None:
    message = r"params.yaml: distill.lora_rank=5 is more than blocks.0.weight can have: it is \[4, 4\], of rank 4"
    with pytest.raises(UserError, match=message):
        check_rank(BlockNetwork(), 5)


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


def test_an_attached_adapter_is_frozen_and_in_the_format_of_the_network() -> None:
    network = BlockNetwork().bfloat16()
    attach(network, stored(), Path("adapter"))
    assert not any(weight.requires_grad for weight in network.parameters())
    assert {weight.dtype for weight in factors(network).values()} == {torch.bfloat16}
    assert torch.equal(
        adapted_layers(network)["blocks.1"].lora_A["student"].weight,
        stored().tensors["blocks.1.lora_A.weight"].bfloat16(),
    )


def test_an_adapter_for_other_matrices_is_refused() -> None:
    less = Factors(2, {name: tensor for name, tensor in stored().tensors.items() if "1.lora_B" not in name})
    with pytest.raises(UserError, match=r"^adapter: blocks\.1\.lora_B\.weight is missing$"):
        attach(BlockNetwork(), less, Path("adapter"))
    more = Factors(2, {**stored().tensors, "blocks.2.lora_A.weight": torch.zeros(2, 4)})
    with pytest.raises(UserError, match=r"^adapter: blocks\.2\.lora_A\.weight has no place in this base model$"):
        attach(BlockNetwork(), more, Path("adapter"))


def test_a_stored_adapter_comes_back_and_equal_ones_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_factors(tmp_path / name, stored())
    again = load_factors(tmp_path / "a")
    assert again.rank == 2
    assert all(torch.equal(tensor, stored().tensors[name]) for name, tensor in again.tensors.items())
    assert again.tensors.keys() == stored().tensors.keys()
    assert hash_file(tmp_path / "a" / WEIGHTS_FILE) == hash_file(tmp_path / "b" / WEIGHTS_FILE)


def test_the_header_has_the_settings_and_no_second_key(tmp_path: Path) -> None:
    """Keys of a header are written in an order that changes from run to run."""
    save_factors(tmp_path, stored())
    with safe_open(tmp_path / WEIGHTS_FILE, framework="pt") as file:
        header = file.metadata()
    assert list(header) == [HEADER_KEY]
    assert json.loads(header[HEADER_KEY]) == {
        "blocks.r": 2,
        "blocks.lora_alpha": 2,
        "blocks.target_modules": ["0", "1"],
    }


def test_an_adapter_of_another_scale_or_none_at_all_is_refused(tmp_path: Path) -> None:
    header = {HEADER_KEY: json.dumps({"transformer.r": 2, "transformer.lora_alpha": 8})}
    save_file(stored().tensors, tmp_path / WEIGHTS_FILE, metadata=header)
    with pytest.raises(UserError, match=r"factors of rank \[2\] with r and lora_alpha \[2, 8\]; expected one"):
        load_factors(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"half")
    with pytest.raises(UserError, match=rf"{WEIGHTS_FILE}: not readable as an adapter"):
        load_factors(tmp_path)
    with pytest.raises(UserError, match="not readable as an adapter"):
        load_factors(tmp_path / "nothing")
