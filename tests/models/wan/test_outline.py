import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gpd.models.wan.architectures import ARCHITECTURES
from gpd.models.wan.outline import forward_flops, outline, weight_bytes

SMALL, LARGE = ARCHITECTURES["wan2.1-1.3b"], ARCHITECTURES["wan2.1-14b"]


@pytest.mark.parametrize("architecture", [SMALL, LARGE], ids=lambda architecture: architecture.name)
def test_the_formula_counts_what_torch_counts(architecture):
    """Two blocks on the meta device at half the profile's picture; attention is counted as torch counts it."""
    shape = (16, 21, 30, 52)
    network = outline(architecture, dtype="float32", merge_padding=False, num_blocks=2)
    latents, text = torch.empty(1, *shape, device="meta"), torch.empty(1, 512, 4096, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(latents, torch.empty(1, device="meta"), text)
    counted = counter.get_total_flops()
    assert forward_flops({**architecture.transformer, "num_layers": 2}, shape) == pytest.approx(counted, rel=1e-6)


def test_a_forward_at_the_profiles_size():
    """283 TFLOP were measured for the 1.3B at 480 x 832 px and 81 frames."""
    assert forward_flops(SMALL.transformer, (16, 21, 60, 104)) == pytest.approx(283e12, rel=0.005)


def test_what_wan_keeps_in_float32_is_float32():
    network = outline(SMALL, dtype="bfloat16", merge_padding=False, num_blocks=1)
    kept = {name for name, weight in network.transformer.named_parameters() if weight.dtype == torch.float32}
    assert "blocks.0.scale_shift_table" in kept
    assert "blocks.0.norm2.weight" in kept
    assert "blocks.0.attn1.to_q.weight" not in kept
    numbers = sum(weight.numel() for weight in network.parameters())
    assert weight_bytes(network) == pytest.approx(2 * numbers, rel=0.2)
