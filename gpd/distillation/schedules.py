"""What changes in the course of a stage by a rule: guidance, the learning rate, the end."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gpd.params import Distill, Guidance, StageParams


def guidance_scale(guidance: Guidance, sigma: Tensor, share_of_stages: float, share_of_iterations: float) -> Tensor:
    """The teacher's guidance scale, linear from start to end along one axis; [B] like `sigma`.

    Along sigma, start belongs to pure noise and end to the clean end.
    """
    share = {
        "stage": torch.full_like(sigma, share_of_stages),
        "iteration": torch.full_like(sigma, share_of_iterations),
        "sigma": 1 - sigma,
    }[guidance.axis]
    return (guidance.start + (guidance.end - guidance.start) * share).float()


def learning_rate(iteration: int, params: StageParams, distill: Distill) -> float:
    """Linear warm-up, then a linear fall to `final_rate_share` of the stage's rate."""
    rise = min(1.0, (iteration + 1) / max(1, min(distill.warmup_iterations, params.iterations)))
    fall = 1 - (1 - distill.final_rate_share) * iteration / params.iterations
    return params.learning_rate * rise * fall


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the next iteration, for all weights."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def has_stalled(losses: Sequence[float], window: int) -> bool:
    """Whether the last `window` losses are not below the `window` before them, in the mean; never if it is 0.

    Looked at once a window, not in every iteration: windows that overlap would look for a bad draw of the noise again
    and again until one is found.
    """
    if window == 0 or len(losses) < 2 * window or len(losses) % window:
        return False
    return math.fsum(losses[-window:]) >= math.fsum(losses[-2 * window : -window])
