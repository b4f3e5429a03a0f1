import pytest
import torch

from gpd.bench.rates import flop_of_forward, matrix_rate
from gpd.models.wan.architectures import ARCHITECTURES


def test_a_forward_of_the_1_3b_at_480p() -> None:
    config = ARCHITECTURES["wan2.1-1.3b"].transformer
    width, tokens, text, layers = 1536, 21 * 30 * 52, 512, 30
    of_a_block = 12 * tokens * width**2 + 4 * text * width**2  # q, k, v, out; q, out of the text's; its k and v
    of_a_block += 4 * tokens**2 * width + 4 * tokens * text * width + 4 * tokens * width * 8960
    found = flop_of_forward(config, (16, 21, 60, 104), text)
    assert found == pytest.approx(layers * of_a_block, rel=1e-3)
    assert found == pytest.approx(283e12, rel=1e-3)


def test_matrices_are_multiplied_at_some_rate() -> None:
    assert matrix_rate("cpu", torch.float32) > 1e8
