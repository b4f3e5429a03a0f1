"""The miniature's VAE: a closed-form encoder and a decoder trained by gradient.

Training a video autoencoder from random weights takes hours on a CPU. The clips of `gpd.tiny.clips` are
simple enough that a linear code of 16 numbers per 4 x 8 x 8 block keeps 32 dB, so the encoder's weights are
*set* to that code (a principal component analysis of 8 x 8 blocks, averaged over 4 frames) and only the
decoder is learnt. The architecture stays Wan's: residual branches of the encoder are zero, everything
else is used as diffusers defines it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

VAE_CONFIG = {
    "base_dim": 16,
    "decoder_base_dim": 16,
    "z_dim": 16,
    "dim_mult": [2, 2, 2],
    "num_res_blocks": 1,
    "attn_scales": [],
    "temperal_downsample": [True, True],
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_temporal": 4,
    "scale_factor_spatial": 8,
}

# The encoder ends in RMS norm and SiLU. One constant channel, this many times larger than the signal, makes
# the norm nearly constant and keeps the signal where SiLU(x) is nearly x / 2; what still bends the decoder learns.
CARRIER = 24.0
LOG_VARIANCE = -12.0  # the posterior is practically its mode
# Normalised channel i has standard deviation std_i ** (1 - WHITENING). Full whitening (1.0) blows the faint fine
# components up to the size of the colour of a block; none (0.0) hides them under the noise until the last step.
WHITENING = 0.5


def block_components(blocks: np.ndarray, num_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and leading principal components [num_components, D] of `blocks` [N, D]."""
    mean = blocks.mean(0)
    _, vectors = np.linalg.eigh(np.cov((blocks - mean).T))
    return mean, vectors[:, ::-1][:, :num_components].T.copy()


def channels_of_2x2(frames: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2, 2, H / 2, W / 2]: each output place with the 2 x 2 block that it covers."""
    n, c, h, w = frames.shape
    return frames.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)


@torch.no_grad()
def set_linear_encoder(vae: Any, patches: Tensor) -> None:
    """Sets the encoder's weights to the block code fitted on `patches`.

    Args:
        vae: an AutoencoderKLWan of VAE_CONFIG.
        patches: single frames after the VAE's own 2 x 2 patchify, [N, 12, H / 2, W / 2] in [-1, 1].
    """
    encoder = vae.encoder
    num_latents = vae.config.z_dim
    for module in encoder.modules():
        if hasattr(module, "conv2") and hasattr(module, "conv_shortcut"):  # a residual block: shortcut only
            module.conv2.weight.zero_()
            module.conv2.bias.zero_()
            if isinstance(module.conv_shortcut, nn.Conv3d):
                _set_identity(module.conv_shortcut)
    for attention in encoder.mid_block.attentions:
        attention.proj.weight.zero_()
        attention.proj.bias.zero_()
    _set_identity(encoder.conv_in)

    # Two spatial halvings, each a projection of 2 x 2 blocks; then pairs of frames are averaged.
    first, second = encoder.down_blocks[1], encoder.down_blocks[3]
    signal = _set_projection(first, patches, num_kept=first.dim)
    signal = _set_projection(second, signal, num_kept=num_latents)
    # The carrier, and the encoder's head that takes it off again.
    scale = signal.square().mean(1).sqrt().mean()
    carrier = CARRIER * scale
    second.resample[1].bias[-1] = carrier
    _set_pair_average(second.time_conv)
    encoder.norm_out.gamma.fill_(1.0)
    encoder.conv_out.weight.zero_()
    encoder.conv_out.bias.zero_()
    gain = 2 * carrier / encoder.norm_out.scale / signal.std()
    for channel in range(num_latents):
        encoder.conv_out.weight[channel, channel, -1, 1, 1] = gain
    encoder.conv_out.bias[num_latents:] = LOG_VARIANCE
    set_pass_through(vae)


@torch.no_grad()
def set_pass_through(vae: Any) -> None:
    """The 1 x 1 x 1 convolutions on both sides of the latents do nothing."""
    _set_identity(vae.quant_conv)
    _set_identity(vae.post_quant_conv)


def _set_identity(conv: Any) -> None:
    """Centre tap in space, newest tap in time, channel i to channel i."""
    conv.weight.zero_()
    conv.bias.zero_()
    height, width = conv.kernel_size[1] // 2, conv.kernel_size[2] // 2
    for channel in range(min(conv.in_channels, conv.out_channels)):
        conv.weight[channel, channel, -1, height, width] = 1.0


def _set_projection(resample: Any, frames: Tensor, num_kept: int) -> Tensor:
    """Makes a halving project each 2 x 2 block on its principal components; returns its output for `frames`."""
    blocks = channels_of_2x2(frames)
    flat = blocks.permute(0, 4, 5, 1, 2, 3).reshape(-1, blocks.shape[1] * 4)
    mean, components = block_components(flat.double().numpy(), num_kept)
    weight = torch.from_numpy(components).float().view(num_kept, blocks.shape[1], 2, 2)
    conv = resample.resample[1]
    conv.weight.zero_()
    conv.bias.zero_()
    conv.weight[:num_kept, : blocks.shape[1], :2, :2] = weight
    conv.bias[:num_kept] = -torch.from_numpy(components @ mean).float()
    _set_pair_average(resample.time_conv)
    return torch.einsum("ncyxhw,kcyx->nkhw", blocks, weight) + conv.bias[:num_kept, None, None]


def _set_pair_average(time_conv: Any) -> None:
    """Stride 2 in time over (frame before, frame, next frame): the mean of the last two."""
    time_conv.weight.zero_()
    time_conv.bias.zero_()
    for channel in range(time_conv.in_channels):
        time_conv.weight[channel, channel, 1:, 0, 0] = 0.5


@torch.no_grad()
def start_decoder(vae: Any) -> None:
    """Residual branches begin at zero and frames are doubled by copying: the decoder starts smooth, not random."""
    for module in vae.decoder.modules():
        if hasattr(module, "conv2") and hasattr(module, "conv_shortcut"):
            module.conv2.weight.mul_(0.1)
            module.conv2.bias.zero_()
        if getattr(module, "mode", None) == "upsample3d":
            time_conv = module.time_conv
            time_conv.weight.mul_(0.1)
            time_conv.bias.zero_()
            for channel in range(time_conv.in_channels):
                time_conv.weight[channel, channel, -1] += 1.0
                time_conv.weight[channel + time_conv.in_channels, channel, -1] += 1.0


@torch.no_grad()
def set_latent_statistics(vae: Any, latents: Tensor) -> None:
    """Writes the mean and scale of raw latents [N, 16, F, H, W] into the VAE's config."""
    mean = latents.mean(dim=(0, 2, 3, 4))
    deviation = latents.std(dim=(0, 2, 3, 4))
    scale = deviation**WHITENING
    scale = scale * (deviation / scale).square().mean().sqrt()  # unit variance over all channels together
    vae.register_to_config(latents_mean=[float(v) for v in mean], latents_std=[float(v) for v in scale])


def train_decoder(
    vae: Any,
    batches: Iterator[tuple[Tensor, Tensor]],
    *,
    num_iterations: int,
    learning_rate: float,
    start_iteration: int = 0,
    on_begin: Callable[[torch.optim.Optimizer], None] = lambda _: None,
    on_iteration: Callable[[int, float, torch.optim.Optimizer], None] = lambda *_: None,
) -> None:
    """Learns the decoder on pairs of raw latents [B, 16, F, H, W] and clips [B, 3, 4 (F - 1) + 1, 8 H, 8 W] in [-1, 1].

    The rate rises over 100 iterations and falls to zero along a cosine. `on_iteration` gets the iteration, the
    mean square error in [-1, 1] units and the optimiser; `on_begin` gets the optimiser (for resuming).
    """
    parameters = list(vae.decoder.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, betas=(0.9, 0.98))
    on_begin(optimizer)
    for iteration in range(start_iteration, num_iterations):
        latents, clips = next(batches)
        fraction = iteration / num_iterations
        rate = learning_rate * min(1.0, (iteration + 1) / 100) * 0.5 * (1 + np.cos(np.pi * fraction))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = (vae.decode(latents).sample - clips).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        on_iteration(iteration, loss.item(), optimizer)
