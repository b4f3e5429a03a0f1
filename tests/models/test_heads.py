from pathlib import Path

import pytest
import torch
from torch import nn

from gpd.artifacts import UserError
from gpd.core.schedule import make_grid
from gpd.core.velocity import euler_step
from gpd.models import wan
from gpd.models.families import open_model
from gpd.models.heads import HEADS_FILE, Heads, check_timesteps, mixture
from gpd.models.network import VideoNetwork, as_plain
from tests.models.wan.states import SHAPE
from tests.toy_family import ToyNetwork

GRID = make_grid(48, 3.0)


def test_shares_of_intervals_by_hand() -> None:
    sigmas = torch.tensor([1.0, 0.9, 0.6, 0.0])
    shares = mixture(sigmas, torch.tensor([0, 1, 1, 2]), torch.tensor([3, 3, 2, 2]))
    expected = torch.tensor([[0.1, 0.3, 0.6], [0.0, 1 / 3, 2 / 3], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(shares, expected)


def test_a_mixture_of_layers_is_the_mixture_of_what_they_compute() -> None:
    torch.manual_seed(0)
    heads, features = Heads(nn.Linear(5, 6), 4, channels=3), torch.randn(2, 7, 5)
    nn.init.normal_(heads.weight)
    nn.init.normal_(heads.bias)
    heads.mix = torch.rand(2, 2, 4)
    each = torch.einsum("bti,noi->btno", features, heads.weight) + heads.bias
    expected = torch.einsum("bmn,btno->btmo", heads.mix, each)
    found = heads(features).unflatten(2, (2, 2, 3)).transpose(2, 3).flatten(3)  # places, mixtures, channels
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.fixture
def headed(small_wan: Path) -> VideoNetwork:
    """A Wan with 48 last layers, none like another."""
    network = open_model(small_wan).load_network(merge_padding=True)
    heads = network.grow_heads(48)
    torch.manual_seed(1)
    with torch.no_grad():
        heads.weight += 0.05 * torch.randn_like(heads.weight)
        heads.bias += 0.05 * torch.randn_like(heads.bias)
    return network


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(2, *SHAPE[1:]), GRID.timesteps[[8, 44]], torch.randn(2, 4, 64)


@torch.no_grad()
def test_heads_begin_as_the_networks_own_last_layer(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    plain = network(*inputs())
    network.grow_heads(48)
    mix = torch.rand(2, 3, 48).softmax(2)
    assert torch.allclose(network(*inputs(), mix=mix), plain[:, None].expand(-1, 3, -1, -1, -1, -1), atol=1e-5)
    network.drop_heads()
    assert network.heads is None
    assert torch.allclose(network(*inputs()), plain, atol=1e-5)


@torch.no_grad()
def test_one_fused_layer_takes_the_sum_of_the_increments(headed: VideoNetwork) -> None:
    """The second sample's step ends with the grid, after four intervals."""
    latents, timesteps, text = inputs()
    index, horizon = torch.tensor([8, 44]), 8
    increments = headed(latents, timesteps, text, mix=torch.eye(48).expand(2, -1, -1))
    end = latents
    for interval in range(horizon):
        here = index + interval
        is_inside = (here < 48).float()
        here = here.clamp(max=47)
        step = euler_step(end, increments[torch.arange(2), here], GRID.sigmas[here], GRID.sigmas[here + 1])
        end = torch.lerp(end, step, is_inside.view(2, 1, 1, 1, 1))
    fused = as_plain(headed, GRID, horizon)(latents, timesteps, text)
    assert torch.allclose(euler_step(latents, fused, GRID.sigmas[index], GRID.sigmas[[16, 48]]), end, atol=1e-5)


@torch.no_grad()
def test_heads_come_back_from_a_folder_that_is_no_plain_pipeline(
    small_wan: Path, headed: VideoNetwork, tmp_path: Path
) -> None:
    from diffusers import WanPipeline

    folder = tmp_path / "k8"
    open_model(small_wan).save_student(folder, headed, grid_steps=48, shift=3.0)
    assert (folder / HEADS_FILE).is_file()
    again = open_model(folder).load_network("cpu", merge_padding=True)
    mix = torch.rand(2, 2, 48)
    assert torch.equal(again(*inputs(), mix=mix), headed(*inputs(), mix=mix))
    assert WanPipeline.from_pretrained(folder).transformer is None
    again.drop_heads()
    assert torch.allclose(again(*inputs()), headed(*inputs()), atol=1e-5)  # without a mix: their mean


def test_what_has_no_heads_is_told_so(small_wan: Path) -> None:
    network = wan.load_network(small_wan, merge_padding=True)
    with pytest.raises(ValueError, match="a mix is given"):
        network(*inputs(), mix=torch.ones(2, 1, 48))
    assert as_plain(network, GRID, 8) is network
    assert ToyNetwork(nn.Linear(1, 1)).heads is None


def test_noise_levels_of_one_timestep_are_refused() -> None:
    check_timesteps(GRID, "grid")
    with pytest.raises(UserError, match="grid: two noise levels have one timestep"):
        check_timesteps(make_grid(128, 12.0), "grid")
