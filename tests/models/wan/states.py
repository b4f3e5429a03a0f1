"""States to compare networks on."""

import torch

from gpd.models.network import VideoNetwork

CAPTION = "a red circle moves left slowly over a plain background"
SHAPE = (1, 16, 5, 8, 8)


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """|a - b| / |b|."""
    return ((a - b).norm() / b.norm()).item()


def stepped(network: VideoNetwork, *steps: int) -> torch.Tensor:
    """The network on one fixed state, once for each length of step."""
    generator = torch.Generator().manual_seed(0)
    latents, text = (torch.randn(1, *shape, generator=generator) for shape in (SHAPE[1:], (4, 64)))
    number = len(steps)
    timesteps = torch.full((number,), 500)
    return network(latents.expand(number, *SHAPE[1:]), timesteps, text.expand(number, -1, -1), torch.tensor(steps))
