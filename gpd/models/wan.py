"""Wan2.1 as diffusers stores it: the only room that speaks diffusers and transformers.

Everything outside sees networks as `network(latents, sigmas, text) -> velocity` and text as one tensor
[B, L, D] whose padding rows are zero.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.core.sampler import Solver
from gpd.core.schedule import Grid, make_grid
from gpd.core.velocity import Network
from gpd.models.onednn import use_onednn

TEXT_LENGTH = 512  # rows of text that Wan's cross-attention sees, padding included
STEPS_FILE = "horizons.safetensors"  # of a student's folder: what its network is told of shorter steps


class TextAttention:
    """Attention of Wan's blocks with an additive bias on the text's columns.

    Wan pads every text with zero rows to 512 and masks none of them, so all padding columns have the same key
    and value. Keeping one (or any number m > 0) of n such columns and adding log(n / m) to their scores gives the
    same softmax: exp(s + log(n / m)) * m = exp(s) * n. `bias` is [B, 1, 1, L] or None.
    """

    def __init__(self) -> None:
        self.bias: Tensor | None = None

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Diffusers' protocol of an attention processor."""
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            features.unflatten(2, (attention.heads, -1)).transpose(1, 2)
            for features in (
                attention.norm_q(attention.to_q(hidden_states)),
                attention.norm_k(attention.to_k(text)),
                attention.to_v(text),
            )
        )
        if rotary_emb is not None:
            query, key = rotate(query, rotary_emb), rotate(key, rotary_emb)
        bias = None if encoder_hidden_states is None else self.bias
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return attention.to_out[0](mixed.transpose(1, 2).flatten(2).type_as(hidden_states))


def rotate(features: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding of [B, heads, L, D]: neighbouring pairs of features turn by the token's angle."""
    cosine, sine = (table[0, :, 0, 0::2].to(features.dtype) for table in rotary)
    even, odd = features.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)


def padding_bias(text: Tensor) -> tuple[Tensor, Tensor]:
    """One padding column more, and the bias under which the columns stand for 512.

    Args:
        text: [B, L, D] with zero rows as padding, L <= 512.

    Returns:
        Text [B, L + 1, D] (or [B, 512, D]) and bias [B, 1, 1, columns].
    """
    text = F.pad(text, (0, 0, 0, min(1, TEXT_LENGTH - text.shape[1])))
    is_padding = ~text.any(-1)
    num_here = is_padding.sum(-1, keepdim=True).clamp(min=1)
    num_in_wan = TEXT_LENGTH - text.shape[1] + num_here
    bias = torch.where(is_padding, torch.log(num_in_wan / num_here), 0.0)
    return text, bias[:, None, None, :].to(text.dtype)


class StepEmbedding(nn.Module):
    """One learnt vector for each length of a step, zero at first (cf. Frans et al. 2024, arXiv 2410.12557).

    Args:
        horizons: the lengths in grid intervals. Any other, a stage's own among them, has the zero vector: for it the
            network is the plain one.
    """

    def __init__(self, horizons: Sequence[int], dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(len(horizons), dim))
        self.horizons: Tensor
        self.register_buffer("horizons", torch.tensor(horizons, dtype=torch.int64))

    def forward(self, step: Tensor) -> Tensor:
        """Vectors [B, dim] of steps [B] int64. All rows take part, so that each has a gradient in every batch."""
        is_told = step[:, None] == self.horizons
        return (is_told[..., None] * self.vectors).sum(1)


class VelocityNetwork(nn.Module):
    """A Wan transformer as `network(latents, timesteps, text)`.

    Args of a call: latents [B, C, F, H, W], timesteps [B] in [0, 1000], text [B, L, D] zero-padded; step [B], the grid
        intervals that each sample's step covers, where the network has learnt several (`embed_steps`).
    Returns: velocity [B, C, F, H, W], float32.

    With `merge_padding` the 512 - L padding columns are computed once instead of one by one (`TextAttention`): a large
    saving where a clip has fewer tokens than a text, none where attention kernels without a bias are faster.
    """

    def __init__(self, transformer: Any, merge_padding: bool = True) -> None:
        super().__init__()
        self.transformer: Any = transformer
        self.merge_padding = merge_padding
        self.attention = TextAttention()
        self.steps: StepEmbedding | None = None
        transformer.set_attn_processor(self.attention)
        use_onednn(transformer)

    def embed_steps(self, horizons: Sequence[int]) -> StepEmbedding:
        """Makes room to learn steps of these shorter lengths; until then they are the network's own."""
        config = self.transformer.config
        self.steps = StepEmbedding(horizons, config.num_attention_heads * config.attention_head_dim)
        return self.steps

    def at(self, horizon: int) -> Network:
        """The network for steps of `horizon` grid intervals, to sample on `grid.every(horizon)`.

        Raises:
            ValueError: it has not learnt them; the stage's own horizon is the network itself.
        """
        learnt = [] if self.steps is None else self.steps.horizons.tolist()
        if horizon not in learnt:
            raise ValueError(f"horizon={horizon} is not among the shorter ones that this network has learnt: {learnt}")
        return lambda latents, timesteps, text: self(latents, timesteps, text, torch.full_like(timesteps, horizon))

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor, step: Tensor | None = None) -> Tensor:
        """The velocity field at (latents, timesteps)."""
        dtype = self.transformer.patch_embedding.weight.dtype
        text = text.to(dtype)
        if self.merge_padding:
            text, self.attention.bias = padding_bias(text)
        else:
            text = F.pad(text, (0, 0, 0, TEXT_LENGTH - text.shape[1]))
        with self._telling(step):
            velocity: Tensor = self.transformer(latents.to(dtype), timesteps, text, return_dict=False)[0]
        return velocity.float()

    @contextlib.contextmanager
    def _telling(self, step: Tensor | None) -> Iterator[None]:
        """During one call the steps' vectors are added to Wan's time embedding [B, dim]: all blocks see them."""
        if step is None:
            yield
            return
        if self.steps is None:
            raise ValueError("the network is told a step, but has no `embed_steps`")
        vectors = self.steps(step)
        embedder = self.transformer.condition_embedder.time_embedder
        hook = embedder.register_forward_hook(lambda module, inputs, output: output + vectors.to(output.dtype))
        try:
            yield
        finally:
            hook.remove()


def check_model(folder: Path) -> None:
    """A clear line where a model's weights are not there.

    Raises:
        UserError: `folder` is not a diffusers pipeline of Wan.
    """
    if not (folder / "model_index.json").is_file():
        raise UserError(
            f"params.yaml: model.path={str(folder)!r}: no weights there (model_index.json is missing). "
            "`gpd fetch` downloads them where model.hub names a repository; or put a local folder in diffusers "
            "format there"
        )


def load_network(
    folder: Path, *, merge_padding: bool, dtype: str = "float32", gradient_checkpointing: bool = False
) -> VelocityNetwork:
    """The transformer of a pipeline folder, in eval mode. Safetensors only; what Wan keeps in float32 stays so.

    A student of several step lengths comes with them (`VelocityNetwork.at`).
    """
    from diffusers import WanTransformer3DModel

    _quiet()
    check_model(Path(folder))
    transformer = WanTransformer3DModel.from_pretrained(
        folder, subfolder="transformer", torch_dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True
    )
    if gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    network = VelocityNetwork(transformer.eval(), merge_padding)
    if (Path(folder) / STEPS_FILE).is_file():
        saved = load_file(Path(folder) / STEPS_FILE)
        network.embed_steps(saved["horizons"].tolist()).load_state_dict(saved)
    return network


def _quiet() -> None:
    """The libraries' bars for loading a file would stand between ours."""
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


class TextEncoder:
    """Tokenizer and text encoder of a pipeline folder."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from transformers import AutoTokenizer, UMT5EncoderModel

        _quiet()
        check_model(Path(folder))
        self.tokenizer = AutoTokenizer.from_pretrained(Path(folder) / "tokenizer", local_files_only=True)
        self.encoder = UMT5EncoderModel.from_pretrained(
            Path(folder) / "text_encoder", use_safetensors=True, local_files_only=True
        )
        self.encoder.to(device).eval()
        if not self.encoder.get_input_embeddings().weight.any():
            # seen with transformers 5 and published UMT5 checkpoints: every text would embed to the same
            raise UserError(f"{folder}/text_encoder: the token embedding loaded as all zeros; its weights do not fit")

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> list[Tensor]:
        """Embeddings [L_i, D], float32, of the prompts' real tokens; longer than 512 tokens are cut, as in Wan."""
        from diffusers.pipelines.wan.pipeline_wan import prompt_clean

        tokens = self.tokenizer(
            [prompt_clean(prompt) for prompt in prompts],
            padding="longest",
            max_length=TEXT_LENGTH,
            truncation=True,
            return_tensors="pt",
        ).to(self.encoder.device)
        states = self.encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state.float().cpu()
        return [row[:length].clone() for row, length in zip(states, tokens.attention_mask.sum(1).tolist(), strict=True)]


class ClipCodec:
    """The VAE of a pipeline folder: frames to normalised latents and back, in float32."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from diffusers import AutoencoderKLWan

        _quiet()
        check_model(Path(folder))
        self.device = device
        self.vae = AutoencoderKLWan.from_pretrained(
            folder, subfolder="vae", torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        self.vae.to(device).eval()
        config = self.vae.config
        self.num_channels: int = config.z_dim
        # The pipeline's normalisation lies outside the VAE: (z - mean) / std going in, z * std + mean going out.
        self.mean = torch.tensor(config.latents_mean, device=device).view(1, -1, 1, 1, 1)
        self.std = torch.tensor(config.latents_std, device=device).view(1, -1, 1, 1, 1)

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """[C, F, H, W] of the latents of such a clip."""
        time, space = self.vae.config.scale_factor_temporal, self.vae.config.scale_factor_spatial
        return (self.num_channels, (num_frames - 1) // time + 1, height // space, width // space)

    @torch.no_grad()
    def encode(self, frames: np.ndarray, posterior: str = "mode", generator: torch.Generator | None = None) -> Tensor:
        """Normalised latents [B, C, f, h, w] of frames [B, F, H, W, 3] uint8.

        Args:
            posterior: "mode", or "sample" drawn with `generator`, or with one for each clip.
        """
        clips = torch.from_numpy(frames).movedim(-1, 1).to(self.device).float() / 127.5 - 1.0
        distribution = self.vae.encode(clips).latent_dist
        latents: Tensor = distribution.mode() if posterior == "mode" else distribution.sample(generator)
        return ((latents - self.mean) / self.std).cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Frames [B, F, H, W, 3] uint8 of normalised latents [B, C, f, h, w]."""
        raw = latents.to(self.device).float() * self.std + self.mean
        clips = self.vae.decode(raw).sample.clamp(-1, 1)
        frames: np.ndarray = ((clips + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).cpu().numpy()
        return frames


def student_scheduler(grid_steps: int, shift: float) -> Any:
    """The scheduler under which the plain pipeline walks exactly our grid with Euler steps.

    UniPC of order 1 without its corrector is the Euler step; FlowMatchEulerDiscreteScheduler shifts end points that are
    already shifted and so walks another grid than the one that was trained.
    """
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        solver_order=1,
        disable_corrector=list(range(grid_steps)),
    )


def unipc_solver(num_steps: int, shift: float, order: int = 2) -> Solver:
    """A fresh UniPC solver, as Wan's own repository samples with; it keeps history, so one for each batch."""
    from diffusers import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=order
    )
    scheduler.set_timesteps(num_steps)
    return _scheduler_steps(scheduler)


def dpm_solver(num_steps: int, shift: float, order: int = 2) -> Solver:
    """A fresh DPM-Solver++ (multistep, midpoint; Lu et al. 2022); it keeps history, so one for each batch.

    The scheduler's own grid differs a little from that of `gpd.core.schedule.make_grid`; it is made to walk the latter.
    """
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++",
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        solver_order=order,
    )
    scheduler.set_timesteps(num_steps)
    grid = make_grid(num_steps, shift)
    scheduler.sigmas, scheduler.timesteps = grid.sigmas.float(), grid.timesteps
    return _scheduler_steps(scheduler)


def _scheduler_steps(scheduler: Any) -> Solver:
    """The steps of a diffusers scheduler whose timesteps are set."""

    def solve(latents: Tensor, velocity: Tensor, step: int, grid: Grid) -> Tensor:
        result: Tensor = scheduler.step(velocity, scheduler.timesteps[step], latents, return_dict=False)[0]
        return result

    return solve


def save_steps(folder: Path, steps: StepEmbedding) -> None:
    """Writes what the network is told of shorter steps beside its pipeline, which does without for its own steps."""
    save_file(steps.state_dict(), folder / STEPS_FILE)


def save_student(folder: Path, transformer: Any, base: Path, *, grid_steps: int, shift: float) -> None:
    """Writes a complete diffusers pipeline: the student's transformer and scheduler, all else from the base model.

    The base's files are hard-linked where the file system allows it: a text encoder of 11 GB need not lie there
    once for each stage.
    """
    _quiet()
    for part in ("vae", "text_encoder", "tokenizer"):
        shutil.copytree(base / part, folder / part, copy_function=_link_or_copy)
    _link_or_copy(base / "model_index.json", folder / "model_index.json")
    index = (folder / "model_index.json").read_text(encoding="utf-8")
    transformer.save_pretrained(folder / "transformer", safe_serialization=True)
    student_scheduler(grid_steps, shift).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").unlink()  # never write through the link
    (folder / "model_index.json").write_text(_with_scheduler(index), encoding="utf-8")


def _with_scheduler(index: str) -> str:
    entries = json.loads(index)
    entries["scheduler"] = ["diffusers", "UniPCMultistepScheduler"]
    return json.dumps(entries, indent=2) + "\n"


def _link_or_copy(source: Any, target: Any) -> Any:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def save_base(
    folder: Path,
    *,
    transformer: Any,
    vae: Any,
    text_encoder: Any,
    tokenizer: Any,
    grid_steps: int,
    shift: float,
) -> None:
    """Writes a new Wan pipeline from its parts; `tokenizer` is a `tokenizers.Tokenizer`."""
    from diffusers import WanPipeline
    from transformers import PreTrainedTokenizerFast

    _quiet()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", model_max_length=TEXT_LENGTH
    )
    pipeline = WanPipeline(
        tokenizer=wrapped,
        text_encoder=text_encoder,
        vae=vae,
        scheduler=student_scheduler(grid_steps, shift),
        transformer=transformer,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)


def make_transformer(config: dict[str, Any]) -> Any:
    """A WanTransformer3DModel with random weights."""
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(**config)


def make_vae(config: dict[str, Any]) -> Any:
    """An AutoencoderKLWan with random weights."""
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(**config)


def make_text_encoder(config: dict[str, Any]) -> Any:
    """A UMT5 encoder with random weights."""
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(UMT5Config(**config)).eval()


def patchify(clips: Tensor, size: int) -> Tensor:
    """The VAE's own space-to-channels: [B, C, F, H, W] -> [B, C * size^2, F, H / size, W / size]."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import patchify as vae_patchify

    patches: Tensor = vae_patchify(clips, size)
    return patches
