"""Whether a library has loaded all of a network, and numbers: it would fill gaps with noise, and only log it."""

from pathlib import Path
from typing import Any

import torch

from gpd.artifacts import UserError


def whole(loaded: tuple[Any, dict[str, Any]], folder: Path) -> Any:
    """The network of `from_pretrained(.., output_loading_info=True)`.

    Raises:
        UserError: the files in `folder` lack some of its weights, or hold NaN or infinity.
    """
    network, info = loaded
    missing = sorted(map(str, info["missing_keys"]))
    if missing:
        raise UserError(f"{folder}: {len(missing)} of its weights are in no file ({missing[0]}, ..)")
    _check_numbers(network, folder)
    return network


def _check_numbers(network: Any, folder: Path) -> None:
    """One pass over the weights, at 1.4 to 2 GB/s on one old core; every result would be NaN, hours later."""
    for name, weight in network.named_parameters():
        low, high = torch.aminmax(weight.detach())  # NaN if one of them is
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise UserError(
                f"{folder}: {name} has numbers from {low.item():g} to {high.item():g}; fetch or train it anew"
            )
