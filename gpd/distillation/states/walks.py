"""Coarse walks from noise to a grid index: where the first states of trajectories come from, and what they cost."""

import torch
from torch import Tensor

from gpd.core.sampler import walk
from gpd.distillation.copies import send
from gpd.distillation.stage import Stage

FILL_STRIDE = 8  # grid intervals an evaluation; only the spread of such states matters


@torch.no_grad()
def walk_from_noise(stage: Stage, noise: Tensor, prompts: Tensor, ends: Tensor) -> Tensor:
    """Walks noise [B, C, F, H, W] to grid indices [B]: the guided teacher until there is a previous student.

    Returns:
        Latents on the stage's device.
    """
    latents = send(noise, stage.device)
    for end in ends.unique().tolist():
        if end == 0:
            continue
        chosen = (ends == end).nonzero()[:, 0]
        text = stage.text_of(prompts[chosen])
        guidance = stage.distill.guidance
        scale = torch.full((len(chosen),), (guidance.start + guidance.end) / 2, device=stage.device)
        velocity = stage.previous_student(text) or stage.guided_teacher(text, scale)
        start = torch.zeros(len(chosen), dtype=torch.int64, device=stage.device)
        rows = send(chosen, stage.device)
        latents[rows] = walk(velocity, latents[rows], start, end, FILL_STRIDE, stage.grid_on_device)
    return latents


def walk_forwards(ends: Tensor, has_previous: bool) -> dict[str, int]:
    """What walks to `ends` cost by role: two forwards an evaluation if the guided teacher walks."""
    evaluations = int((-(-ends // FILL_STRIDE)).sum())
    return {"previous": evaluations} if has_previous else {"teacher": 2 * evaluations}
