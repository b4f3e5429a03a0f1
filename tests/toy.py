"""Velocity fields in closed form, in place of networks."""

import torch
from torch import Tensor, nn

from gpd.core.velocity import per_sample
from gpd.models.heads import Heads
from gpd.models.roles import Roles
from gpd.models.wan import StepEmbedding


class GaussianField(nn.Module):
    """The exact velocity field when clean latents are N(mean, spread^2), independent in every element.

    With x = (1 - s) c + s n:  E[c | x] = mean + g (x - (1 - s) mean),
    g = (1 - s) spread^2 / ((1 - s)^2 spread^2 + s^2), and v = E[n - c | x] = (x - E[c | x]) / s.
    The text's first number is the mean; trajectories are curved.
    """

    def __init__(self, spread: float = 0.5) -> None:
        super().__init__()
        self.spread = spread
        self.num_forwards = 0

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        self.num_forwards += len(latents)
        sigma = per_sample(timesteps.double() / 1000, latents)
        mean = per_sample(text[:, 0, 0], latents)
        gain = (1 - sigma) * self.spread**2 / ((1 - sigma) ** 2 * self.spread**2 + sigma**2)
        clean = mean + gain * (latents - (1 - sigma) * mean)
        return (latents - clean) / sigma


class SmallNetwork(nn.Module):
    """A trainable field: latents and text mixed with weights that depend on the timestep."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.mixing = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 2))

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        share = timesteps.float() / 1000
        features = torch.stack([share, share**2, text[:, 0, 0]], 1)
        of_latents, constant = self.mixing(features).unbind(1)
        return per_sample(of_latents, latents) * latents + per_sample(constant, latents)


class BlockNetwork(SmallNetwork):
    """A trainable field with blocks, as a transformer has them: each adds a little to the latents' last axis."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        for block in self.blocks:
            latents = latents + 0.1 * torch.tanh(block(latents))
        return super().forward(latents, timesteps, text)


def block_networks(rank: int) -> dict[str, nn.Module]:
    """A student with blocks; of a rank, factors on weights that the teacher has too."""
    if rank == 0:
        return {"student": BlockNetwork()}
    roles = Roles(BlockNetwork(), rank)
    return {"student": roles.begin("student", seed=0), "teacher": roles.plain()}


class SteppingNetwork(SmallNetwork):
    """A trainable field that is given the horizons of its steps, as Wan is: vectors beside those of the timestep."""

    def __init__(self, *horizons: int) -> None:
        super().__init__()
        self.steps = StepEmbedding(horizons, 32)

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor, horizon: Tensor | None = None) -> Tensor:
        share = timesteps.float() / 1000
        hidden = self.mixing[0](torch.stack([share, share**2, text[:, 0, 0]], 1))
        if horizon is not None:
            hidden = hidden + self.steps(horizon)
        of_latents, constant = self.mixing[2](self.mixing[1](hidden)).unbind(1)
        return per_sample(of_latents, latents) * latents + per_sample(constant, latents)


class HeadedNetwork(SmallNetwork):
    """A trainable field with a last layer for each grid interval: of a latent and of its text's number."""

    def __init__(self, num_heads: int = 48) -> None:
        super().__init__()
        self.heads = Heads(nn.Linear(2, 1), num_heads, channels=1)
        self.num_forwards = 0

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor, mix: Tensor | None = None) -> Tensor:
        self.num_forwards += len(latents)
        plain = super().forward(latents, timesteps, text)
        words = per_sample(text[:, 0, 0], latents).expand_as(latents)
        self.heads.mix = mix
        mixed = self.heads(torch.stack([latents.flatten(1), words.flatten(1)], 2)).mT  # [B, M, values]
        velocity = plain[:, None] + mixed.unflatten(2, latents.shape[1:])
        return velocity[:, 0] if mix is None else velocity


def text_of(*means: float) -> Tensor:
    """Texts [B, 1, 1] whose number is the mean of the clean latents."""
    return torch.tensor(means).view(-1, 1, 1)
