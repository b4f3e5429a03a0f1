"""Wan's transformer as `network(latents, timesteps, text) -> velocity`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpd.core.precision import fast_dtype
from gpd.models.folders import check_model, quiet_libraries
from gpd.models.network import VideoNetwork, load_steps
from gpd.models.onednn import use_onednn
from gpd.models.wan.attention import TextAttention, padding_bias
from gpd.models.wan.text import TEXT_LENGTH


class VelocityNetwork(VideoNetwork):
    """A Wan transformer as `network(latents, timesteps, text)`.

    With `merge_padding` the 512 - L padding columns are computed once instead of one by one (`TextAttention`): a large
    saving if a clip has fewer tokens than a text, none if attention kernels without a bias are faster.
    """

    block_layers = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2")

    def __init__(self, transformer: Any, merge_padding: bool = True) -> None:
        super().__init__(transformer)
        self.merge_padding = merge_padding
        self.attention = TextAttention()
        transformer.set_attn_processor(self.attention)
        use_onednn(transformer)
        keep_out_of_autocast(transformer.condition_embedder.time_embedder)

    @property
    def time_width(self) -> int:
        """As wide as a token's features."""
        config = self.transformer.config
        return int(config.num_attention_heads * config.attention_head_dim)

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor, step: Tensor | None = None) -> Tensor:
        """The velocity field at (latents, timesteps)."""
        dtype = self.transformer.patch_embedding.weight.dtype
        text = text.to(dtype)
        if self.merge_padding:
            text, self.attention.bias = padding_bias(text)
        else:
            text = F.pad(text, (0, 0, 0, TEXT_LENGTH - text.shape[1]))
        with self._adding(step):
            velocity: Tensor = self.transformer(latents.to(dtype), timesteps, text, return_dict=False)[0]
        if velocity.requires_grad and self.transformer.gradient_checkpointing:
            # The backward computes the blocks again, perhaps after a call with other texts.
            bias = self.attention.bias
            velocity.register_hook(lambda _: setattr(self.attention, "bias", bias))
        return velocity.float()

    @contextlib.contextmanager
    def _adding(self, step: Tensor | None) -> Iterator[None]:
        """During one call the steps' vectors are added to Wan's time embedding [B, dim]: all blocks see them."""
        if step is None:
            yield
            return
        if self.steps is None:
            raise ValueError("a step is given, but the network has no `embed_steps`")
        vectors = self.steps(step)
        embedder = self.transformer.condition_embedder.time_embedder
        hook = embedder.register_forward_hook(lambda module, inputs, output: output + vectors.to(output.dtype))
        try:
            yield
        finally:
            hook.remove()


class Exact(nn.Module):
    """Mixed into a module's class: it computes in the format of its weights under autocast, too."""

    def forward(self, features: Tensor, *others: Any) -> Any:
        """Of the module itself."""
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features, *others)


def keep_out_of_autocast(module: nn.Module) -> None:
    """The module's products stay float32: autocast would round a timestep's sines to three digits."""
    if not isinstance(module, Exact):
        module.__class__ = type(type(module).__name__, (Exact, type(module)), {})


def load_network(
    folder: Path,
    *,
    merge_padding: bool,
    dtype: str = "float32",
    device: torch.device | str | None = None,
    gradient_checkpointing: bool = False,
) -> VelocityNetwork:
    """The transformer of a pipeline folder, in eval mode. Safetensors only; what Wan keeps in float32 stays so.

    A student of several step lengths comes with them (`VelocityNetwork.at`).

    Args:
        device: where it will compute; if it has no instructions for bfloat16, the weights are float32 instead. None
            takes `dtype` at its word. The caller moves the network.
    """
    from diffusers import WanTransformer3DModel

    quiet_libraries()
    check_model(Path(folder))
    transformer = WanTransformer3DModel.from_pretrained(
        folder,
        subfolder="transformer",
        torch_dtype=getattr(torch, dtype if device is None else fast_dtype(dtype, device)),
        use_safetensors=True,
        local_files_only=True,
    )
    if gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    network = VelocityNetwork(transformer.eval(), merge_padding)
    load_steps(Path(folder), network)
    return network
