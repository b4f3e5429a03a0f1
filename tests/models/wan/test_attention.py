from pathlib import Path

import pytest
import torch

from gpd.core.velocity import stack_text
from gpd.models import wan
from tests.models.wan.states import CAPTION, SHAPE, distance


def test_merged_padding_changes_nothing_but_the_cost(small_wan: Path) -> None:
    merged, plain = (wan.load_network(small_wan, merge_padding=choice) for choice in (True, False))
    text = stack_text(wan.TextEncoder(small_wan).encode([CAPTION, "a"]))  # of different length
    latents, timesteps = torch.randn(2, *SHAPE[1:]), torch.tensor([999, 250])
    with torch.no_grad():
        assert distance(merged(latents, timesteps, text), plain(latents, timesteps, text)) < 1e-5


def test_merged_padding_has_the_same_gradients(small_wan: Path) -> None:
    text = stack_text(wan.TextEncoder(small_wan).encode([CAPTION]))
    latents, timesteps = torch.randn(SHAPE), torch.tensor([500])
    gradients = []
    for choice in (True, False):
        network = wan.load_network(small_wan, merge_padding=choice)
        network(latents, timesteps, text).square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert distance(*gradients) < 1e-4


def test_a_text_of_full_length_has_no_padding_to_merge() -> None:
    text, bias = wan.padding_bias(torch.ones(1, wan.TEXT_LENGTH, 4))
    assert text.shape == (1, 512, 4)
    assert not bias.any()
    _, bias = wan.padding_bias(torch.ones(1, 12, 4))
    assert bias[0, 0, 0].exp().sum() == pytest.approx(512)
