"""Which number formats a device multiplies quickly."""

import contextlib
from collections.abc import Iterator

import torch


def multiplies_bfloat16(device: torch.device | str) -> bool:
    """Whether products of bfloat16 have instructions of their own on this device.

    A CPU without them (AVX2 alone) emulates each product: three times slower than float32, and no more exact.
    """
    if torch.device(device).type != "cpu":
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def fast_dtype(name: str, device: torch.device | str) -> str:
    """The wanted format ("float32", "bfloat16"), or float32 if this device would emulate it."""
    return "float32" if name == "bfloat16" and not multiplies_bfloat16(device) else name


def multiply_on_tensor_cores(name: str) -> None:
    """Has CUDA round the factors of float32 products to TF32 (10 bits after the point, bfloat16 has 7) from now on.

    That is half as fast as bfloat16 and an eighth of its rounding; full float32 takes seven times as long again on an
    H100. Nothing changes if the wanted format (`name`) is float32.
    """
    if name == "bfloat16" and torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Products of float32 in full float32, on tensor cores or not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
