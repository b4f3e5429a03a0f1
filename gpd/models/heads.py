"""Several last layers on one backbone, one for each interval of the base grid (Shaul et al. 2026, arXiv 2607.26004).

All are linear, so that any mixture of them is one last layer again: a step over several intervals costs no more than
one over a single interval.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.core.schedule import Grid

HEADS_FILE = "heads.safetensors"  # in a student's folder: its `Heads`


def mixture(sigmas: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Shares of grid intervals in the mean velocity from index `first` to `last`: h_j / sum h, zero outside.

        W[n : n + k] = sum over j = n .. n + k - 1 of h_j W_j / sum h,    h_j = sigma[j + 1] - sigma[j]

    Args:
        sigmas: of the grid, [N + 1].
        first, last: [B] int64.

    Returns:
        [B, N] float64, rows of sum 1; of zeros where first = last.
    """
    number = torch.arange(len(sigmas) - 1, device=sigmas.device)
    is_inside = (number >= first[:, None]) & (number < last[:, None])
    lengths = is_inside * (sigmas[:-1] - sigmas[1:])
    total: Tensor = lengths.sum(1, keepdim=True)
    return lengths / total.where(total > 0, 1.0)


class Heads(nn.Module):
    """N linear layers in place of a network's last one, each begun as its copy.

    Args:
        layer: [out, in]; the values of one latent lie side by side in `out`.
        number: N.
        channels: values of one latent.
    """

    def __init__(self, layer: nn.Linear, number: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().repeat(number, 1, 1))
        self.bias = nn.Parameter(layer.bias.detach().repeat(number, 1))
        self.channels = channels
        self.mix: Tensor | None = None

    @property
    def number(self) -> int:
        """N."""
        return len(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """M mixtures of the layers, as `mix` [B, M, N] weighs them; their mean if it is None.

        Args:
            features: [B, T, in].

        Returns:
            [B, T, out M]: as wide a network's output with M times the channels, those of a mixture side by side.
        """
        weight, bias = self.fused(self._mix_of(features))
        rows = torch.baddbmm(
            bias.flatten(1)[:, None].to(features.dtype), features, weight.flatten(1, 2).mT.to(features.dtype)
        )
        return rows.unflatten(2, (bias.shape[1], -1, self.channels)).transpose(2, 3).flatten(2)

    def _mix_of(self, features: Tensor) -> Tensor:
        if self.mix is None:
            return features.new_full((len(features), 1, self.number), 1 / self.number)
        return self.mix

    def fused(self, mix: Tensor) -> tuple[Tensor, Tensor]:
        """Weights [B, M, out, in] and biases [B, M, out] of mixtures [B, M, N], summed in float32."""
        with torch.autocast(mix.device.type, enabled=False):
            shares = mix.float()
            weight = shares @ self.weight.float().flatten(1)
            return weight.unflatten(2, self.weight.shape[1:]), shares @ self.bias.float()

    def averaged(self) -> nn.Linear:
        """A plain layer of their mean."""
        _, outputs, inputs = self.weight.shape
        layer = nn.Linear(inputs, outputs, device=self.weight.device, dtype=self.weight.dtype)
        layer.load_state_dict({"weight": self.weight.detach().mean(0), "bias": self.bias.detach().mean(0)})
        return layer


class Fused(nn.Module):
    """A headed network for steps of one horizon, called like a plain one: each step has one fused last layer.

    Args:
        network: with `heads` of the grid's intervals.
        horizon: grid intervals of a step; the last step may be shorter.
    """

    def __init__(self, network: nn.Module, grid: Grid, horizon: int) -> None:
        super().__init__()
        self.network, self.horizon = network, horizon
        self.sigmas: Tensor
        self.timesteps: Tensor
        device = next(network.parameters()).device
        self.register_buffer("sigmas", grid.sigmas.to(device), persistent=False)
        self.register_buffer("timesteps", grid.timesteps.to(device), persistent=False)

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        """Mean velocity of a step from each sample's noise level."""
        first = (timesteps[:, None] - self.timesteps).abs().argmin(1)
        last = (first + self.horizon).clamp(max=len(self.timesteps))
        velocity: Tensor = self.network(latents, timesteps, text, mix=mixture(self.sigmas, first, last)[:, None])
        return velocity[:, 0]


def check_timesteps(grid: Grid, where: str) -> None:
    """Whether each noise level has a timestep of its own, by which `Fused` knows the interval.

    Raises:
        UserError: two of them share one; `where` says what made the grid.
    """
    if grid.timesteps.unique().numel() < grid.num_steps:
        raise UserError(f"{where}: two noise levels have one timestep, so that heads cannot be told apart")


def save_heads(folder: Path, heads: Heads) -> None:
    """Writes the layers beside the backbone."""
    save_file(
        {name: weight.detach().cpu().contiguous() for name, weight in heads.state_dict().items()}, folder / HEADS_FILE
    )
