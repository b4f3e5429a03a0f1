import pytest
import torch

from gpd.models.wan import make_text_encoder, make_transformer, make_vae
from gpd.models.wan.architectures import ARCHITECTURES, UMT5_XXL, VAE


def count(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_transformer_has_the_published_number_of_parameters(name: str):
    with torch.device("meta"):
        transformer = make_transformer(ARCHITECTURES[name].transformer)
    assert count(transformer) == ARCHITECTURES[name].num_parameters


def test_text_encoder_and_vae_have_the_published_numbers_of_parameters():
    with torch.device("meta"):
        assert count(make_text_encoder(UMT5_XXL)) == 5_680_910_336
        assert count(make_vae(VAE)) == 126_892_531
