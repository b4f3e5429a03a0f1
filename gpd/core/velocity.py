"""The convention in formulas: noisy latents, velocities, Euler steps, guidance. Tensors are [B, C, F, H, W]."""

import os
from collections.abc import Callable

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # latents [B,C,F,H,W], timesteps [B], text [B,L,D] -> velocity
Velocity = Callable[[Tensor, Tensor], Tensor]  # the same with the text settled: latents, timesteps [B] -> velocity
APART = "GPD_GUIDED_APART"  # environment: 1 for one call after the other, where `gpd bench wan` found that faster


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, 1, ..] in the type of `like`, so that it multiplies a batch."""
    return values.to(device=like.device, dtype=like.dtype).view(-1, *[1] * (like.ndim - 1))


def noisy_latent(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """(1 - sigma) * clean + sigma * noise, sigma [B]."""
    level = per_sample(sigma, clean)
    return (1 - level) * clean + level * noise


def velocity_of(clean: Tensor, noise: Tensor) -> Tensor:
    """noise - clean: the derivative of `noisy_latent` with respect to sigma."""
    return noise - clean


def clean_latent(noisy: Tensor, velocity: Tensor, sigma: Tensor) -> Tensor:
    """noisy - sigma * velocity: where the straight line ends."""
    return noisy - per_sample(sigma, noisy) * velocity


def noise_of(noisy: Tensor, velocity: Tensor, sigma: Tensor) -> Tensor:
    """noisy + (1 - sigma) * velocity: where the straight line began."""
    return noisy + (1 - per_sample(sigma, noisy)) * velocity


def euler_step(latents: Tensor, velocity: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """latents + (sigma_next - sigma) * velocity, sigmas [B]."""
    return latents + per_sample(sigma_next - sigma, latents) * velocity


def mean_velocity(latents: Tensor, latents_next: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """(latents_next - latents) / (sigma_next - sigma): what one Euler step must use to get from one to the other."""
    return (latents_next - latents) / per_sample(sigma_next - sigma, latents)


def guide(text_velocity: Tensor, negative_velocity: Tensor, scale: Tensor) -> Tensor:
    """v_neg + w * (v_text - v_neg), w [B]; w = 1 is no guidance (Ho and Salimans 2022, with their w + 1)."""
    return negative_velocity + per_sample(scale, text_velocity) * (text_velocity - negative_velocity)


def unguided(network: Network, text: Tensor) -> Velocity:
    """The network on one text: one forward a sample."""
    return lambda latents, timesteps: network(latents, timesteps, text)


def guided(network: Network, text: Tensor, negative: Tensor, scale: Tensor) -> Velocity:
    """The network with classifier-free guidance: two forwards a sample, in one call unless `APART` is set.

    Which is faster is the device's matter; they differ by rounding.

    Args:
        text: [B, L, D].
        negative: [1, L', D], the negative prompt.
        scale: [B].
    """
    negatives = negative.expand(len(text), -1, -1)
    if os.environ.get(APART) == "1":
        return lambda latents, timesteps: guide(
            network(latents, timesteps, text), network(latents, timesteps, negatives), scale
        )
    both = join_text(text, negatives)

    def velocity(latents: Tensor, timesteps: Tensor) -> Tensor:
        doubled = network(torch.cat([latents, latents]), torch.cat([timesteps, timesteps]), both)
        return guide(doubled[: len(latents)], doubled[len(latents) :], scale)

    return velocity


def guided_by(network: Network, weak: Network, text: Tensor, negative: Tensor, scale: Tensor) -> Velocity:
    """`guided` with another network on the negative prompt, away from which it leads: two forwards a sample."""
    words = negative.expand(len(text), -1, -1)
    return lambda latents, timesteps: guide(network(latents, timesteps, text), weak(latents, timesteps, words), scale)


def join_text(*texts: Tensor) -> Tensor:
    """Texts [B_i, L_i, D] stacked to [sum B_i, max L_i, D]; padding rows are zero, as everywhere."""
    longest = max(text.shape[1] for text in texts)
    return torch.cat([torch.nn.functional.pad(text, (0, 0, 0, longest - text.shape[1])) for text in texts])


def stack_text(rows: list[Tensor]) -> Tensor:
    """Texts [L_i, D] -> [B, max L_i, D], zero-padded."""
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
