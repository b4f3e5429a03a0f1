"""Trains the miniature Wan from nothing: encoder, decoder, transformer; each part resumes where it stopped."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gpd.artifacts import replace_file
from gpd.distillation.optimizers import make_room, moments_of
from gpd.distillation.saving.train_state import Saved, TrainState
from gpd.models import wan
from gpd.tiny import text as tiny_text
from gpd.tiny import vae as tiny_vae
from gpd.tiny.clips import Scene, draw, split_scenes

NUM_CLIPS = 6144  # drawn for training; the held-out captions are not among them
DECODER_ITERATIONS, DECODER_BATCH, DECODER_RATE = 1400, 4, 2e-3
TRANSFORMER_ITERATIONS, TRANSFORMER_BATCH, TRANSFORMER_RATE = 4500, 32, 1.5e-3
SHIFT = 3.0  # noise levels seen in training: uniform, then shifted as Wan's
CAPTION_DROPOUT = 0.1
EMA_DECAY = 0.999
SECONDS_BETWEEN_SAVES = 60.0

TRANSFORMER_CONFIG = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 4,
    "attention_head_dim": 32,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": tiny_text.UMT5_CONFIG["d_model"],
    "freq_dim": 128,
    "ffn_dim": 384,
    "num_layers": 6,
    "cross_attn_norm": True,
    "rope_max_seq_len": 64,
}

Report = Callable[[str, int, int, float], None]  # part, iteration, iterations in all, loss


def clip_scenes() -> list[Scene]:
    """The scene of each training clip: the training captions in turn."""
    scenes, _ = split_scenes()
    return [scenes[index % len(scenes)] for index in range(NUM_CLIPS)]


def frames_to_tensor(frames: np.ndarray) -> Tensor:
    """Frames [.., F, H, W, 3] uint8 -> [.., 3, F, H, W] float32 in [-1, 1]."""
    return torch.from_numpy(frames).movedim(-1, -4).float() / 127.5 - 1.0


def load_tensors(path: Path, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make` gives, kept at `path` for the next call."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({name: tensor.contiguous() for name, tensor in make().items()}, partial)
        replace_file(partial, path)
    return load_file(path)


def make_encoder(work: Path, report: Report) -> Any:
    """The VAE with its closed-form encoder, rounded to the half precision in which it is published."""
    torch.manual_seed(0)
    vae = wan.make_vae(tiny_vae.VAE_CONFIG).eval()
    tiny_vae.start_decoder(vae)

    def make() -> dict[str, Tensor]:
        report("encoder", 0, 1, math.nan)
        frames = np.stack([draw(scene, seed)[::8] for seed, scene in enumerate(clip_scenes()[:480])])
        clips = frames_to_tensor(frames).transpose(1, 2).flatten(0, 1)[:, :, None]
        tiny_vae.set_linear_encoder(vae, wan.patchify(clips, 2)[:, :, 0])
        return {name: tensor.half() for name, tensor in vae.encoder.state_dict().items()}

    state = load_tensors(work / "encoder.safetensors", make)
    vae.encoder.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    tiny_vae.set_pass_through(vae)
    return vae


@torch.no_grad()
def make_latents(vae: Any, work: Path, report: Report) -> Tensor:
    """Raw latents [NUM_CLIPS, 16, 5, 8, 8] of the training clips, in the order of `clip_scenes`."""

    def make() -> dict[str, Tensor]:
        latents = []
        scenes = clip_scenes()
        for start in range(0, NUM_CLIPS, 32):
            report("latents", start, NUM_CLIPS, math.nan)
            frames = np.stack([draw(scenes[i], i) for i in range(start, min(start + 32, NUM_CLIPS))])
            latents.append(vae.encode(frames_to_tensor(frames)).latent_dist.mode())
        return {"latents": torch.cat(latents)}

    return load_tensors(work / "latents.safetensors", make)["latents"]


def decoder_batches(latents: Tensor, start_iteration: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of raw latents and clips; batch i depends on i alone."""
    scenes = clip_scenes()
    iteration = start_iteration
    while True:
        chosen = np.random.default_rng([1, iteration]).integers(0, NUM_CLIPS, DECODER_BATCH)
        frames = np.stack([draw(scenes[i], int(i)) for i in chosen])
        yield latents[torch.from_numpy(chosen)], frames_to_tensor(frames)
        iteration += 1


def _tensors(modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that a training changes, by name."""
    groups = {name: module.state_dict() for name, module in modules.items()} | {"optimizer": moments_of(optimizer)}
    return {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}


def _restore(saved: Saved, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
    make_room(optimizer)
    saved.fill(_tensors(modules, optimizer))


def train_decoder(vae: Any, latents: Tensor, work: Path, report: Report) -> None:
    """Trains the decoder in place."""
    modules = {"decoder": vae.decoder}
    with TrainState(work / "decoder", save_every_seconds=SECONDS_BETWEEN_SAVES) as state:
        saved = state.load()
        start = saved.iteration if saved else 0

        def on_begin(optimizer: torch.optim.Optimizer) -> None:
            if saved:
                _restore(saved, modules, optimizer)

        def on_iteration(iteration: int, loss: float, optimizer: torch.optim.Optimizer) -> None:
            report("decoder", iteration, DECODER_ITERATIONS, loss)
            if state.is_due or iteration + 1 == DECODER_ITERATIONS:
                state.save(iteration + 1, _tensors(modules, optimizer), {})

        tiny_vae.train_decoder(
            vae,
            decoder_batches(latents, start),
            num_iterations=DECODER_ITERATIONS,
            learning_rate=DECODER_RATE,
            start_iteration=start,
            on_begin=on_begin,
            on_iteration=on_iteration,
        )


@torch.no_grad()
def embed_captions(captions: list[str]) -> Tensor:
    """Text embeddings [N, L, D] of the captions, zero-padded to the longest."""
    tokenizer = tiny_text.make_tokenizer()
    encoder = make_text_encoder()
    tokens = [tokenizer.encode(caption).ids for caption in captions]
    rows = [encoder(input_ids=torch.tensor([ids])).last_hidden_state[0] for ids in tokens]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


def make_text_encoder() -> Any:
    """The frozen text encoder; its weights are random, from a fixed seed."""
    torch.manual_seed(1)
    return wan.make_text_encoder(tiny_text.UMT5_CONFIG)


def train_transformer(latents: Tensor, work: Path, report: Report) -> Any:
    """Flow matching on normalised latents [NUM_CLIPS, 16, 5, 8, 8]; returns the averaged network.

    The loss is mean |v(noisy, sigma, text) - (noise - clean)|^2 with captions dropped now and then, so that the
    network also learns the empty prompt and guidance means something.
    """
    torch.manual_seed(2)
    network = wan.VelocityNetwork(wan.make_transformer(TRANSFORMER_CONFIG))
    average = copy.deepcopy(network).requires_grad_(False)
    scenes, _ = split_scenes()
    text = embed_captions([scene.caption for scene in scenes] + [""])
    optimizer = torch.optim.AdamW(network.parameters(), lr=TRANSFORMER_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    state = TrainState(work / "transformer", save_every_seconds=SECONDS_BETWEEN_SAVES)
    modules = {"network": network, "average": average}
    saved, start = state.load(), 0
    if saved:
        _restore(saved, modules, optimizer)
        start = saved.iteration

    for iteration in range(start, TRANSFORMER_ITERATIONS):
        rng = np.random.default_rng([2, iteration])
        generator = torch.Generator().manual_seed(2_000_000 + iteration)
        chosen = rng.integers(0, NUM_CLIPS, TRANSFORMER_BATCH)
        is_dropped = rng.random(TRANSFORMER_BATCH) < CAPTION_DROPOUT
        prompts = torch.from_numpy(np.where(is_dropped, len(scenes), chosen % len(scenes)))
        clean = latents[torch.from_numpy(chosen)]
        noise = torch.randn(clean.shape, generator=generator)
        uniform = torch.rand(TRANSFORMER_BATCH, generator=generator)
        sigma = SHIFT * uniform / (1 + (SHIFT - 1) * uniform)
        level = sigma[:, None, None, None, None]

        velocity = network((1 - level) * clean + level * noise, 1000 * sigma, text[prompts])
        loss = (velocity - (noise - clean)).square().mean()

        rise = min(1.0, (iteration + 1) / 200)
        fall = min(1.0, (TRANSFORMER_ITERATIONS - iteration) / (0.6 * TRANSFORMER_ITERATIONS))
        for group in optimizer.param_groups:
            group["lr"] = TRANSFORMER_RATE * rise * fall
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        decay = min(EMA_DECAY, (iteration + 1) / (iteration + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
        report("transformer", iteration, TRANSFORMER_ITERATIONS, loss.item())
        if state.is_due or iteration + 1 == TRANSFORMER_ITERATIONS:
            state.save(iteration + 1, _tensors(modules, optimizer), {})
    state.wait()
    return average


def set_statistics(vae: Any, latents: Tensor) -> None:
    """Writes the latents' mean and scale into the VAE's config, where the pipeline reads them."""
    tiny_vae.set_latent_statistics(vae, latents)


def normalise(vae: Any, latents: Tensor) -> Tensor:
    """Latents as the transformer sees them."""
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    return (latents - mean) / std


def save(folder: Path, vae: Any, network: nn.Module, grid_steps: int) -> None:
    """Writes the pipeline; weights in half precision, which keeps it small enough for git. Readers load float32."""
    wan.save_base(
        folder,
        transformer=copy.deepcopy(network).transformer.half(),
        vae=copy.deepcopy(vae).half(),
        text_encoder=make_text_encoder(),
        tokenizer=tiny_text.make_tokenizer(),
        grid_steps=grid_steps,
        shift=SHIFT,
    )


def settings() -> dict[str, Any]:
    """How the miniature is made, for its manifest."""
    return {
        "num_clips": NUM_CLIPS,
        "decoder": {"iterations": DECODER_ITERATIONS, "batch": DECODER_BATCH, "learning_rate": DECODER_RATE},
        "transformer": {
            "iterations": TRANSFORMER_ITERATIONS,
            "batch": TRANSFORMER_BATCH,
            "learning_rate": TRANSFORMER_RATE,
            "ema_decay": EMA_DECAY,
        },
        "shift": SHIFT,
        "caption_dropout": CAPTION_DROPOUT,
        "encoder": "closed form: principal components of 8 x 8 blocks, mean of 4 frames",
        "text_encoder": "random weights, frozen",
    }
