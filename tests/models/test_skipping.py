from pathlib import Path

import pytest
import torch

from gpd.artifacts import UserError
from gpd.core.velocity import guided, guided_by
from gpd.models import wan
from gpd.models.roles import Roles
from gpd.models.skipping import Skipping
from tests.models.wan.states import SHAPE
from tests.toy import BlockNetwork, text_of

INPUTS = torch.randn(2, 2, 2, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([500, 20]), text_of(1, 2)


@torch.no_grad()
def test_a_block_is_left_out_and_back_again() -> None:
    network, without = BlockNetwork(), BlockNetwork()
    without.load_state_dict(network.state_dict())
    without.blocks[1] = torch.nn.Identity()
    whole = network(*INPUTS)
    assert torch.equal(Skipping(network, 1)(*INPUTS), without(*INPUTS))
    assert torch.equal(network(*INPUTS), whole)
    role = Roles(network, 2).plain()
    assert torch.equal(Skipping(role, 1)(*INPUTS), without(*INPUTS))
    with pytest.raises(UserError, match=r"distill.guidance.skip_block=2: the teacher's blocks are 0 .. 1"):
        Skipping(network, 2)


@torch.no_grad()
def test_wan_without_a_block_is_a_wan_of_fewer_layers(small_wan: Path) -> None:
    inputs = torch.randn(1, *SHAPE[1:]), torch.tensor([500]), torch.randn(1, 4, 64)
    network = wan.load_network(small_wan, merge_padding=True)
    skipped = Skipping(network, 0)(*inputs)
    del network.transformer.blocks[0]
    assert torch.equal(skipped, network(*inputs))


@torch.no_grad()
def test_guided_by_the_network_itself_is_plain_guidance() -> None:
    network, (latents, timesteps, text) = BlockNetwork(), INPUTS
    negative, scale = text_of(0.0), torch.tensor([3.0, 1.5])
    by_itself = guided_by(network, network, text, negative, scale)
    plain = guided(network, text, negative, scale)
    assert torch.allclose(by_itself(latents, timesteps), plain(latents, timesteps), atol=1e-5)
