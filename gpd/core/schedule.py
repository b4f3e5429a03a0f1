"""Noise levels: sigma from 1 (pure noise) to 0 (clean), the shift, and the grids that samplers walk along."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TRAIN_TIMESTEPS = 1000
FIRST_SIGMA_GAP = 1e-6  # the exported scheduler starts at 1 - 1e-6, so that log(1 - sigma) exists


@dataclass(frozen=True)
class Grid:
    """N steps from noise to clean.

    Attributes:
        sigmas: [N + 1] float64, falling, ending in exactly 0.
        timesteps: [N] int64, the network's input at each of the first N sigmas.
    """

    sigmas: Tensor
    timesteps: Tensor

    @property
    def num_steps(self) -> int:
        """N."""
        return len(self.timesteps)

    def every(self, stride: int) -> "Grid":
        """The coarser grid of each `stride`-th point.

        Raises:
            ValueError: `stride` does not divide the number of steps.
        """
        if self.num_steps % stride:
            raise ValueError(f"stride {stride} does not divide {self.num_steps} steps")
        return Grid(self.sigmas[::stride], self.timesteps[::stride])


def shift_sigma(sigma: np.ndarray, shift: float) -> np.ndarray:
    """sigma' = s * sigma / (1 + (s - 1) * sigma): more steps at high noise for s > 1 (Esser et al. 2024, 5.3.2)."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def make_grid(num_steps: int, shift: float) -> Grid:
    """The grid of diffusers' UniPCMultistepScheduler with flow sigmas, to the last bit.

    Its uniform points run from 1 to 1 / 1000, not to 0, before the shift, and its timesteps are rounded down.
    Training on these very numbers is what makes an exported student sample the same in the plain pipeline; the
    grid of N / k steps is every k-th point of the grid of N steps.
    """
    uniform = np.linspace(1, 1 / TRAIN_TIMESTEPS, num_steps + 1)[:-1]
    sigmas = shift_sigma(uniform, shift)
    sigmas[0] -= FIRST_SIGMA_GAP
    timesteps = (sigmas * TRAIN_TIMESTEPS).astype(np.int64)
    # float32 in between: the scheduler stores its sigmas so
    points = np.append(sigmas, 0.0).astype(np.float32).astype(np.float64)
    return Grid(torch.from_numpy(points), torch.from_numpy(timesteps))
