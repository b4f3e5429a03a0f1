"""The devices that a plan can be made for: what they hold, how fast they multiply, and which share of that is reached.

A measured `data/benchmarks/NAME.json` (`gpd bench wan`) takes precedence over the stated share.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from gpd.artifacts import UserError
from gpd.documents.reading import parse_json

BENCHMARKS = Path("data/benchmarks")
GIB = 2**30


@dataclass(frozen=True)
class Device:
    """A kind of GPU.

    Attributes:
        gib: GiB that CUDA has, as its own messages state it.
        bf16_peak: products of bfloat16 in FLOP/s with sums in float32, without sparsity: the data sheet's figure.
        float32_peak: of float32, without tensor cores: what the VAE computes in.
        share: of the peak of bfloat16 that a training step reaches in the mean.
        is_measured: whether the share comes from a benchmark of this project.
        guides_apart: whether it found guidance faster by one call after the other.
    """

    name: str
    gib: float
    bf16_peak: float
    float32_peak: float
    share: float
    is_measured: bool = False
    guides_apart: bool = False

    @property
    def usable_bytes(self) -> float:
        """Without CUDA's context, the libraries' workspaces and the allocator's holes."""
        return self.gib * GIB * (1 - HOLES) - CONTEXT

    @property
    def flops_per_second(self) -> float:
        """What a step is expected to reach."""
        return self.bf16_peak * self.share

    @property
    def float32_per_second(self) -> float:
        """What the convolutions of the VAE are expected to reach."""
        return self.float32_peak * CONVOLUTION_SHARE


CONVOLUTION_SHARE = 0.5
CONTEXT = 0.6e9  # bytes: context, cuBLAS and cuDNN
HOLES = 0.06  # of the memory: what the allocator cannot use, and what the plan may be off by
DEVICES = {
    device.name: device
    for device in (
        Device("h200", gib=139.8, bf16_peak=989e12, float32_peak=67e12, share=0.45),
        Device("h100", gib=79.1, bf16_peak=989e12, float32_peak=67e12, share=0.45),
        Device("a100-80", gib=79.2, bf16_peak=312e12, float32_peak=19.5e12, share=0.50),
        Device("a100-40", gib=39.4, bf16_peak=312e12, float32_peak=19.5e12, share=0.50),
        Device("l40s", gib=44.4, bf16_peak=362e12, float32_peak=91.6e12, share=0.45),
        Device("rtx4090", gib=23.6, bf16_peak=165e12, float32_peak=82.6e12, share=0.55),
    )
}


def parse_devices(text: str) -> tuple[Device, int]:
    """A device and how many of it: "h100:8", or "h100" for one.

    Raises:
        UserError: the text is no such thing, or the device is not in the table.
    """
    found = re.fullmatch(r"([\w.-]+?)(?::(\d+))?", text)
    name, number = (found[1], int(found[2] or 1)) if found else (text, 0)
    if name not in DEVICES or number < 1:
        raise UserError(f"plan: gpu={text!r} is not NAME or NAME:NUMBER with a name of {', '.join(DEVICES)}")
    return _measured(DEVICES[name]), number


def _measured(device: Device) -> Device:
    path = BENCHMARKS / f"{device.name}.json"
    if not path.is_file():
        return device
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
        rate, apart = float(found["flops_per_second"]), found.get("guided", {}).get("faster") == "apart"
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: has no number under flops_per_second; `gpd bench wan` writes it") from None
    return replace(device, share=rate / device.bf16_peak, is_measured=True, guides_apart=apart)
