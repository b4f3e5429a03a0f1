from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpd.models import wan
from gpd.tiny import train
from gpd.tiny import vae as tiny_vae
from gpd.tiny.clips import draw, split_scenes


@pytest.fixture(scope="module")
def vae() -> Any:
    """The published one: its encoder is what `set_linear_encoder` made of thousands of frames."""
    return wan.ClipCodec(Path(__file__).parents[2] / "data" / "tiny-wan").vae


def clips(number: int, seed: int = 0) -> torch.Tensor:
    _, held_out = split_scenes()
    return train.frames_to_tensor(np.stack([draw(held_out[i * 37 % 256], seed + i) for i in range(number)]))


@torch.no_grad()
def encode(vae: Any, batch: torch.Tensor) -> torch.Tensor:
    return vae.encode(batch).latent_dist.mode()


def test_the_closed_form_encoder_is_affine(vae: Any) -> None:
    """Norm and SiLU at its end cancel: the code of a mean is the mean of the codes, to a few per cent."""
    batch = clips(2)
    middle = encode(vae, batch.mean(0, keepdim=True))
    means = encode(vae, batch).mean(0, keepdim=True)
    assert ((middle - means).norm() / means.norm()).item() < 0.05


def test_a_latent_sees_its_own_block_and_frames_only(vae: Any) -> None:
    batch = clips(1)
    changed = batch.clone()
    changed[:, :, 5:9, 16:24, 24:32] += (
        0.3  # frames 5..8 are latent frame 2; rows 16..23, columns 24..31 are cell (2, 3)
    )
    moved = (encode(vae, changed) - encode(vae, batch)).abs().amax(dim=(0, 1))
    assert moved[2, 2, 3] > 0.05
    moved[2, 2, 3] = 0
    assert moved.max() < 1e-4


def test_weights_can_be_set_in_closed_form_and_the_decoder_learns() -> None:
    """The two ways in which the miniature's VAE is made, on a few frames and iterations."""
    torch.manual_seed(0)
    fresh = wan.make_vae(tiny_vae.VAE_CONFIG)
    batch = clips(2)
    frames = batch.transpose(1, 2).flatten(0, 1)[:, :, None]
    tiny_vae.set_linear_encoder(fresh, wan.patchify(frames, 2)[:, :, 0])
    tiny_vae.start_decoder(fresh)
    latents, losses = encode(fresh, batch), []
    tiny_vae.train_decoder(
        fresh,
        iter([(latents, batch)] * 8),
        num_iterations=8,
        learning_rate=2e-3,
        on_iteration=lambda _, loss, __: losses.append(loss),
    )
    assert losses[-1] < 0.9 * losses[0]
