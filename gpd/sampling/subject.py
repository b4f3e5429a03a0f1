"""A subject of evaluation: a network with the way it is sampled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gpd.core.randomness import seeded_noise
from gpd.core.sampler import sample
from gpd.core.schedule import Grid, make_grid
from gpd.core.velocity import Network, stack_text
from gpd.documents import Sample
from gpd.models.base import MakeSolver


@dataclass(frozen=True)
class Subject:
    """What is sampled, and how.

    Attributes:
        make_solver: of `BaseModel.solvers`; solvers of order 2 keep history, so there is a new one for each batch.
        negative: [L, D]; used when guidance_scale is not 1.
    """

    name: str
    network: Network
    grid: Grid
    shift: float
    make_solver: MakeSolver
    guidance_scale: float
    negative: Tensor
    device: str

    @property
    def forwards_per_step(self) -> int:
        """Guidance takes two."""
        return 1 if self.guidance_scale == 1.0 else 2

    @property
    def forwards(self) -> int:
        """Network evaluations a sample."""
        return self.grid.num_steps * self.forwards_per_step

    def walk(
        self, noise: list[Tensor], texts: list[Tensor], on_step: Callable[[int], None] = lambda _: None
    ) -> list[Tensor]:
        """Trajectory of a batch: at each of the grid's points latents [B, C, F, H, W], float32 on the CPU.

        Args:
            noise: B of [C, F, H, W].
            texts: B embeddings [L_i, D].
            on_step: called with the number of steps done.
        """
        trajectory = sample(
            self.network,
            torch.stack(noise).to(self.device),
            stack_text(texts).to(self.device),
            self.grid,
            negative=self.negative[None].to(self.device),
            guidance_scale=self.guidance_scale,
            solver=self.make_solver(self.grid.num_steps, self.shift),
            on_step=on_step,
        )
        return [latents.float().cpu() for latents in trajectory]


def student_grid(grid_steps: int, horizon: int, shift: float) -> Grid:
    """Every horizon-th point of the base grid; the last step is shorter if the horizon does not divide it."""
    base = make_grid(grid_steps, shift)
    starts = list(range(0, grid_steps, horizon))
    return Grid(base.sigmas[[*starts, grid_steps]], base.timesteps[starts])


def sample_batch(
    subject: Subject,
    samples: list[Sample],
    texts: Mapping[str, np.ndarray],
    shape: tuple[int, ...],
) -> list[Tensor]:
    """The trajectory of a batch of samples. Noise depends on the sample's seed and index: the same for every subject.

    Args:
        texts: embeddings [L, D] by prompt id.
        shape: [C, F, H, W] of a latent.
    """
    noise = [seeded_noise(shape, seed=sample.seed, index=sample.index) for sample in samples]
    return subject.walk(noise, [torch.from_numpy(texts[sample.id]).float() for sample in samples])
