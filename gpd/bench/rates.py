"""How much a forward computes, and how fast this device multiplies matrices."""

import time
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gpd.models import wan

SIZES = {"cpu": 1024, "cuda": 8192}  # rows and columns of the product that a device is measured by
NUM_ROUNDS, NUM_WARM = 10, 2


def flop_of_forward(config: dict[str, Any], latent_shape: tuple[int, ...], text_rows: int) -> int:
    """Floating-point operations of one forward of one sample, a product and its sum being two.

    They are counted on tensors without values, with one block and with two: all blocks are alike.

    Args:
        config: of the transformer.
        latent_shape: [C, F, H, W].
        text_rows: that the cross-attention sees.
    """
    of_one, of_two = (_count({**config, "num_layers": blocks}, latent_shape, text_rows) for blocks in (1, 2))
    return of_one + (config["num_layers"] - 1) * (of_two - of_one)


def _count(config: dict[str, Any], latent_shape: tuple[int, ...], text_rows: int) -> int:
    with torch.device("meta"), torch.no_grad():
        transformer, text = wan.make_transformer(config), torch.empty(1, text_rows, config["text_dim"])
        with FlopCounterMode(display=False) as counter:
            transformer(torch.empty(1, *latent_shape), torch.zeros(1), text)
    return int(counter.get_total_flops())


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large square product in this format: the best of a few."""
    size = SIZES[torch.device(device).type]
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = [_seconds_of_product(left, right) for _ in range(NUM_ROUNDS)]
    return 2.0 * size**3 / min(seconds[NUM_WARM:])


def _seconds_of_product(left: Tensor, right: Tensor) -> float:
    started = time.perf_counter()
    left @ right
    if left.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started
