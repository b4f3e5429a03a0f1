"""Which number formats a device multiplies quickly."""

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
