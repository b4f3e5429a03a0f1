"""Wan's transformer as `network(latents, timesteps, text) -> velocity`."""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpd.core.precision import exact_products, fast_dtype
from gpd.models.folders import check_part, quiet_libraries
from gpd.models.network import VideoNetwork, load_heads, load_steps
from gpd.models.onednn import use_onednn
from gpd.models.wan.attention import TextAttention, padding_bias
from gpd.models.wan.loaded import whole
from gpd.models.wan.text import TEXT_LENGTH

MAX_KINDS_OF_CALL = 32


class VelocityNetwork(VideoNetwork):
    """A Wan transformer as `network(latents, timesteps, text)`.

    With `merge_padding` the 512 - L padding columns are computed once instead of one by one (`TextAttention`): a large
    saving if a clip has fewer tokens than a text, none if attention kernels without a bias are faster. Either way
    `transformer.set_attention_backend` and `transformer.enable_parallelism` do what diffusers says.
    """

    block_layers = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2")
    last_layer = "transformer.proj_out"  # the norm before it, its scale and its shift stay one for all heads

    def __init__(self, transformer: Any, merge_padding: bool = True) -> None:
        super().__init__(transformer)
        self.attention = TextAttention() if merge_padding else None  # None: diffusers' own
        if self.attention is not None:
            transformer.set_attn_processor(self.attention)
        use_onednn(transformer)
        keep_out_of_autocast(transformer.condition_embedder.time_embedder)

    @property
    def time_width(self) -> int:
        """As wide as a token's features."""
        config = self.transformer.config
        return int(config.num_attention_heads * config.attention_head_dim)

    @property
    def latent_channels(self) -> int:
        """Of the VAE."""
        return int(self.transformer.config.out_channels)

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        text: Tensor,
        horizon: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Tensor:
        """The velocity field at (latents, timesteps)."""
        dtype = self.transformer.patch_embedding.weight.dtype
        text = text.to(dtype)
        if self.attention is not None:
            text, self.attention.bias = padding_bias(text)
        else:
            text = F.pad(text, (0, 0, 0, TEXT_LENGTH - text.shape[1]))
        with self._adding(horizon), self._mixing(mix):
            velocity: Tensor = self.transformer(latents.to(dtype), timesteps, text, return_dict=False)[0]
        if self.attention is not None and velocity.requires_grad and self.transformer.gradient_checkpointing:
            # The backward computes the blocks again, perhaps after a call with other texts.
            bias = self.attention.bias
            velocity.register_hook(lambda _: setattr(self.attention, "bias", bias))
        return velocity.float() if mix is None else velocity.float().unflatten(1, (mix.shape[1], -1))

    @contextlib.contextmanager
    def _mixing(self, mix: Tensor | None) -> Iterator[None]:
        """During one call the last layer is M mixtures of the heads."""
        if mix is None:
            yield
            return
        if (heads := self.heads) is None:
            raise ValueError("a mix is given, but the network has no `grow_heads`")
        heads.mix = mix
        try:
            yield
        finally:
            heads.mix = None

    @contextlib.contextmanager
    def _adding(self, horizon: Tensor | None) -> Iterator[None]:
        """During one call the steps' vectors are added to Wan's time embedding [B, dim]: all blocks see them."""
        if horizon is None:
            yield
            return
        if self.steps is None:
            raise ValueError("a horizon is given, but the network has no `embed_steps`")
        vectors = self.steps(horizon)
        embedder = self.transformer.condition_embedder.time_embedder
        hook = embedder.register_forward_hook(lambda module, inputs, output: output + vectors.to(output.dtype))
        try:
            yield
        finally:
            hook.remove()


def gains_from_compilation(device: torch.device | str) -> bool:
    """CUDA with Triton there. On a CPU the miniature is done before its blocks are compiled.

    PyTorch's own TORCH_COMPILE_DISABLE=1 turns it off.
    """
    return torch.device(device).type == "cuda" and find_spec("triton") is not None


def compile_blocks(transformer: Any, **options: Any) -> None:
    """Has Wan's blocks compiled at their first call: one block's code serves all. Weights and their names stay.

    Args:
        options: those of torch.compile.
    """
    # Kinds of call have code of their own: batches, with a gradient or without, each adapter. PyTorch gives up at 8.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MAX_KINDS_OF_CALL)
    transformer.compile_repeated_blocks(**options)


class Exact(nn.Module):
    """Mixed into a module's class: it computes in the format of its weights under autocast and TF32, too."""

    def forward(self, features: Tensor, *others: Any) -> Any:
        """Of the module itself."""
        device = features.device.type
        if not torch.amp.is_autocast_available(device):  # tensors without data
            return super().forward(features, *others)
        with torch.autocast(device, enabled=False), exact_products():
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

    A student of several horizons comes with their vectors (`VideoNetwork.at`), a headed one with its heads.

    Args:
        device: where it will compute; if it has no instructions for bfloat16, the weights are float32 instead; if it
            gains from that, blocks are compiled. None takes `dtype` at its word. The caller moves the network.
    """
    from diffusers import WanTransformer3DModel

    quiet_libraries()
    check_part(Path(folder), "transformer")
    loaded = WanTransformer3DModel.from_pretrained(
        folder,
        subfolder="transformer",
        torch_dtype=getattr(torch, dtype if device is None else fast_dtype(dtype, device)),
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    transformer = whole(loaded, Path(folder) / "transformer")
    if gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    if device is not None and gains_from_compilation(device):
        compile_blocks(transformer)
    network = VelocityNetwork(transformer.eval(), merge_padding)
    load_steps(Path(folder), network)
    load_heads(Path(folder), network)
    return network
