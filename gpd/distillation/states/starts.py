"""Where on the base grid steps start."""

import torch
from torch import Tensor


def start_indices(num_steps: int, horizon: int, is_final: bool) -> Tensor:
    """Where a step of `horizon` may start: wherever there is room; in a final stage, where inference starts."""
    return torch.arange(0, num_steps - horizon + 1, horizon if is_final else 1)


def staggered(starts: Tensor, num_slots: int) -> Tensor:
    """Where a pool's first trajectories begin: `num_slots` of the start indices, spread over all of them."""
    return starts[torch.arange(num_slots) * len(starts) // num_slots]
