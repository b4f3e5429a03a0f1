from pathlib import Path

import pytest
import torch

from gpd.artifacts import UserError
from gpd.core.precision import multiplies_bfloat16
from gpd.models import wan
from tests.models.wan.states import SHAPE, distance, stepped


def test_before_training_every_step_is_the_networks_own(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    network.embed_steps([1, 2, 4])
    with torch.no_grad():
        alike = stepped(network, 1, 2, 4, 8)
        network.steps.vectors[1] = 1.0  # type: ignore[union-attr]
        changed = stepped(network, 1, 2, 4, 8)
        plain = network.transformer
        assert not plain.condition_embedder.time_embedder._forward_hooks  # nothing stays behind
    assert torch.equal(alike[:1].expand_as(alike), alike)
    assert [distance(a, b) > 1e-3 for a, b in zip(changed, alike, strict=True)] == [False, True, False, False]


def test_a_network_without_a_step_is_the_plain_one(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    latents, timesteps, text = torch.randn(SHAPE), torch.tensor([500]), torch.randn(1, 4, 64)
    with torch.no_grad():
        plain = network(latents, timesteps, text)
        network.embed_steps([1, 2, 4])
        assert all(torch.equal(network.at(horizon)(latents, timesteps, text), plain) for horizon in (1, 2, 4))
        torch.nn.init.normal_(network.steps.vectors)  # type: ignore[union-attr]
        assert torch.equal(network(latents, timesteps, text), plain)
        assert torch.equal(network(latents, timesteps, text, torch.tensor([8])), plain)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_gradients_reach_the_vectors_of_the_steps_that_were_taken(
    small_wan: Path, gradient_checkpointing: bool
) -> None:
    network = wan.load_network(small_wan, merge_padding=True, gradient_checkpointing=gradient_checkpointing)
    steps = network.embed_steps([1, 2, 4])
    stepped(network, 2, 8).square().mean().backward()
    assert steps.vectors.grad is not None
    assert steps.vectors.grad.any(1).tolist() == [False, True, False]


def test_a_step_that_was_not_learnt_is_refused(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    with pytest.raises(ValueError, match=r"horizon=2 is not among .*: \[\]"):
        network.at(2)
    with pytest.raises(ValueError, match="a horizon is given"):
        stepped(network, 2)
    network.embed_steps([1, 2])
    with pytest.raises(ValueError, match=r"horizon=8 is not among .*: \[1, 2\]"):
        network.at(8)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weights there"):
        wan.load_network(tmp_path / "nothing", merge_padding=True)


def test_weights_are_float32_on_a_cpu_that_would_emulate_bfloat16(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True, dtype="bfloat16", device="cpu")
    expected = torch.bfloat16 if multiplies_bfloat16("cpu") else torch.float32
    assert network.transformer.patch_embedding.weight.dtype == expected
    asked = wan.load_network(small_wan, merge_padding=True, dtype="bfloat16", device="cuda")  # on its way to a GPU
    assert asked.transformer.patch_embedding.weight.dtype == torch.bfloat16


def test_norms_and_modulation_stay_in_float32(small_wan: Path) -> None:
    transformer = wan.load_network(small_wan, merge_padding=True, dtype="bfloat16").transformer
    assert transformer.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert transformer.blocks[0].scale_shift_table.dtype == torch.float32
    assert transformer.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32


def test_block_layers_are_the_matrices_of_the_blocks_and_no_others(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    named = {name for name, _ in network.named_modules() if name.endswith(network.block_layers)}
    matrices = {name for name, weight in network.named_parameters() if weight.ndim == 2}
    assert {f"{name}.weight" for name in named} == {name for name in matrices if ".blocks." in name}
    assert len(named) == 2 * 10  # two blocks: queries, keys, values, output of two attentions, two of the feed-forward
