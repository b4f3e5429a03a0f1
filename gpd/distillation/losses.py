"""The training loss: mean square residual, and its high frequencies once more (docs/method.md)."""

from typing import NamedTuple

import torch
from torch import Tensor

from gpd.distillation.stage import Stage


class Loss(NamedTuple):
    """total = residual + weight * frequency; scalars."""

    total: Tensor
    residual: Tensor
    frequency: Tensor

    def times(self, share: float) -> "Loss":
        """Of a part of a batch as its part of the batch's."""
        return Loss(*(part * share for part in self))


class FrequencyLoss:
    """Mean square residual, weighted by sample, and `weight` times the part of it that lies in the masked bins."""

    def __init__(self, mask: Tensor, weight: float) -> None:
        self.mask, self.weight = mask, weight

    def __call__(self, velocity: Tensor, target: Tensor, of_sample: Tensor) -> Loss:
        """Velocities [B, C, F, H, W], the samples' weights [B]."""
        residual = (of_sample * square_residual(velocity, target)).mean()
        frequency = torch.zeros_like(residual)
        if self.weight > 0:
            frequency = (of_sample * masked_square_residual(velocity, target, self.mask)).mean()
        return Loss(residual + self.weight * frequency, residual, frequency)


def make_loss(stage: Stage) -> FrequencyLoss:
    """The loss of a stage; the frequency term acts only in the stages that params.yaml names."""
    frequency = stage.distill.frequency
    frames, height, width = stage.latent_shape[1:]
    mask = high_frequency_mask((frames, height, width), frequency.temporal_cutoff, frequency.spatial_cutoff)
    return FrequencyLoss(mask.to(stage.device), frequency.weight if stage.name in frequency.stages else 0.0)


def high_frequency_mask(shape: tuple[int, int, int], temporal_cutoff: float, spatial_cutoff: float) -> Tensor:
    """Which bins of a real FFT over (F, H, W) are constrained.

    Args:
        shape: F, H, W of the latents.
        temporal_cutoff, spatial_cutoff: fractions of the Nyquist frequency; bins above either count, 1 excludes none
            of that axis' kind. The spatial frequency is the larger of the two axes'.

    Returns:
        bool [F, H, W // 2 + 1].
    """
    frames, height, width = shape
    temporal = torch.fft.fftfreq(frames).abs() * 2
    vertical = torch.fft.fftfreq(height).abs() * 2
    horizontal = torch.fft.rfftfreq(width).abs() * 2
    spatial = torch.maximum(vertical[:, None], horizontal[None, :])
    return (temporal > temporal_cutoff)[:, None, None] | (spatial > spatial_cutoff)[None]


def spectrum_weights(width: int, device: torch.device | str = "cpu") -> Tensor:
    """How often each of the W // 2 + 1 columns of a real FFT stands in the full spectrum: 1 or 2, [W // 2 + 1]."""
    weights = torch.full((width // 2 + 1,), 2.0, device=device)
    weights[0] = 1.0
    if width % 2 == 0:
        weights[-1] = 1.0
    return weights


def square_residual(velocity: Tensor, target: Tensor) -> Tensor:
    """Mean over all but the batch of |v - v*|^2, in float32; [B]."""
    return (velocity.float() - target.float()).square().flatten(1).mean(1)


def step_weights(sigmas: Tensor, index: Tensor, horizon: int, starts: Tensor) -> Tensor:
    """Lengths of steps in sigma over their mean length: [B] for grid indices [B].

        weight_i = (sigma[i] - sigma[i + k]) / mean over starts j of (sigma[j] - sigma[j + k])

    A residual |v - v*| displaces the step's end by (sigma[i] - sigma[i + k]) |v - v*|: that of a long step moves the
    latents more than the same residual of a short one. Under a shift the first steps are the shortest and their
    residuals the largest, so that unweighted they take most of the gradient.
    """
    ends = (starts + horizon).clamp(max=len(sigmas) - 1)  # objectives whose steps may be shorter start up to the end
    return (sigmas[index] - sigmas[index + horizon]) / (sigmas[starts] - sigmas[ends]).mean()


def masked_square_residual(velocity: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """The part of `square_residual` that lies in the masked frequencies; [B].

    Orthonormal FFT, so by Parseval a full mask gives `square_residual` itself:
    loss + weight * this = mean (1 + weight * mask) |FFT(v - v*)|^2.
    """
    residual = velocity.float() - target.float()
    power = torch.fft.rfftn(residual, dim=(-3, -2, -1), norm="ortho").abs().square()
    weights = spectrum_weights(residual.shape[-1], residual.device) * mask.to(residual.device)
    return (power * weights).flatten(1).sum(1) / residual[0].numel()
