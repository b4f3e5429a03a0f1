"""A workspace to measure in: params, prompts and clips, and a base model with random weights."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from gpd import documents
from gpd.artifacts import UserError, write_text
from gpd.core.precision import fast_dtype
from gpd.data.clips import write_mp4
from gpd.documents import BaseFacts
from gpd.documents.reading import parse_yaml
from gpd.models import wan
from gpd.models.base import Geometry
from gpd.models.use import PROFILES, profile_text
from gpd.models.wan.architectures import ARCHITECTURES, Architecture
from gpd.params import PARAMS_FILE, Params
from gpd.stages import PIPELINE
from gpd.tiny import text, train, vae
from gpd.tiny.clips import split_scenes

BASE, SOURCE, STAGE = "base", "source", "k1"
NUM_PROMPTS, NUM_CLIPS = 2, 2
CPU_GRID = 4  # steps: on a CPU a sample shall take few forwards
GPU_BATCH = 4  # at most: what a sample costs is the same, and the loop runs 20 iterations
GEOMETRY = Geometry(channels=16, latent_frames=4, latent_px=8, token_px=16)  # of every Wan2.1 and of the miniature


@dataclass(frozen=True)
class Request:
    """What the command was asked for; None stands for the profile's own value.

    Attributes:
        work: the folder to work in, kept afterwards; the same command there goes on after a stop. None for a
            temporary one.
        to: the JSON to write; None for data/benchmarks/DEVICE.json on a GPU and none on a CPU.
    """

    profile: str
    frames: int | None = None
    height: int | None = None
    width: int | None = None
    lora_rank: int | None = None
    batch: int | None = None
    iterations: int | None = None
    work: Path | None = None
    to: Path | None = None


def find_architecture(profile: str) -> Architecture:
    """That of the profile's base model; the miniature has one, too.

    Raises:
        UserError: there is no such profile.
    """
    if profile not in PROFILES:
        raise UserError(f"bench wan: --profile={profile!r} is not one of {', '.join(PROFILES)}")
    name = Path(parse_yaml(profile_text(profile))["model"]["path"]).name
    miniature = Architecture("the miniature", "", 0, train.TRANSFORMER_CONFIG, text.UMT5_CONFIG, vae.VAE_CONFIG)
    return {**ARCHITECTURES, "tiny-wan": miniature}[name]


def make_params(request: Request, device: str) -> Params:
    """The profile with one stage of horizon 1, trained on streamed states of a pool no larger than a batch.

    On a CPU a batch is one sample, the base grid has few steps, and the padding of texts is computed once where a clip
    has fewer tokens than a text.

    Raises:
        UserError: the clips' size does not fit the architecture.
    """
    raw: dict[str, Any] = parse_yaml(profile_text(request.profile))
    model, distill, on_cpu = raw["model"], raw["distill"], device == "cpu"
    asked = {"num_frames": request.frames, "height": request.height, "width": request.width}
    model |= {"path": BASE, "hub": None, **{key: value for key, value in asked.items() if value}}
    first = next(iter(distill["stages"].values()))
    batch = request.batch or (1 if on_cpu else min(first["batch"], GPU_BATCH))
    grid = CPU_GRID if on_cpu else model["grid_steps"]
    model |= {"grid_steps": grid}
    distill |= {"final_steps": grid, "horizons": [], "pool_slots": batch, "probe": {"num_states": 1}}
    distill |= {"states": {"stream": 1.0, "clips": 0.0, "rollouts": 0.0}}
    distill["frequency"] |= {"weight": 0.0, "stages": []}
    if request.lora_rank is not None:
        distill |= {"lora_rank": request.lora_rank}
    own = {"horizon": 1, "tail": 1, "previous": BASE, "batch": batch}
    distill["stages"] = {STAGE: first | own | {"iterations": request.iterations or (2 if on_cpu else 10)}}
    raw["prepare"] |= {"source": SOURCE, "num_evaluation_prompts": 1}
    raw["encode"]["rollouts"] |= {"num": 0}
    raw["sample"] |= {"num_prompts": 1, "seeds": [0], "batch": 1, "diversity_prompts": 0, "num_kept_points": 1}
    raw["sample"] |= {"subjects": _subjects(grid)}
    return _merging_padding(Params.model_validate(raw)) if on_cpu else Params.model_validate(raw)


def _subjects(grid_steps: int) -> dict[str, Any]:
    how = {"steps": grid_steps, "solver": "euler"}
    reference = {"checkpoint": BASE, "guidance_scale": 6.0}
    return {"reference": reference | how, STAGE: {"checkpoint": f"data/students/{STAGE}", "guidance_scale": 1.0} | how}


def _merging_padding(params: Params) -> Params:
    gains = num_tokens(params) < wan.TEXT_LENGTH
    return params.model_copy(update={"model": params.model.model_copy(update={"merge_padding": gains})})


def latent_shape(params: Params) -> tuple[int, int, int, int]:
    """[C, F, H, W] of a clip's latents.

    Raises:
        UserError: the sizes do not come out even.
    """
    model = params.model
    GEOMETRY.check(model.num_frames, model.height, model.width)
    return GEOMETRY.latent_shape(model.num_frames, model.height, model.width)


def num_tokens(params: Params) -> int:
    """Of a clip, in the transformer's self-attention: 2 x 2 latents each."""
    _, frames, height, width = latent_shape(params)
    return frames * (height // 2) * (width // 2)


@contextlib.contextmanager
def working_in(folder: Path | None) -> Iterator[None]:
    """Works in a folder that is made, or in a temporary one; takes this checkout's dvc.yaml along."""
    pipeline = PIPELINE.resolve()
    if not pipeline.is_file():
        raise UserError(f"{PIPELINE}: no such file; run this in a checkout of the repository")
    with tempfile.TemporaryDirectory(prefix="gpd-bench-") as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        with contextlib.chdir(place):
            shutil.copy(pipeline, PIPELINE)
            yield


def write_inputs(params: Params) -> None:
    """params.yaml; prompts of the miniature, and clips of noise that moves, in the size that is asked for."""
    write_text(PARAMS_FILE, yaml.safe_dump(params.model_dump(), allow_unicode=True))
    training, held_out = split_scenes()
    source = Path(SOURCE)
    write_text(source / "prompts.txt", "\n".join(scene.caption for scene in training[:NUM_PROMPTS]))
    write_text(source / "evaluation.txt", held_out[0].caption)
    rows = []
    for number, scene in enumerate(training[:NUM_CLIPS]):
        rows.append({"file": f"{number}.mp4", "caption": scene.caption})
        write_mp4(source / "clips" / f"{number}.mp4", moving_noise(params, number), params.encode.frames_per_second)
    write_text(source / "clips/captions.jsonl", "\n".join(map(json.dumps, rows)))


def moving_noise(params: Params, seed: int) -> np.ndarray:
    """Frames [F, H, W, 3] uint8: a picture of noise in blocks of 8 px that moves 2 px a frame."""
    model, rng = params.model, np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (model.height // 8, model.width // 8, 3), dtype=np.uint8)
    picture = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    return np.stack([np.roll(picture, 2 * number, axis=1) for number in range(model.num_frames)])


def make_base(params: Params, architecture: Architecture, device: str) -> None:
    """The base folder: transformer and VAE exactly as published but random, and a small stand-in of the text encoder.

    Weights are drawn on the device, in the format that it multiplies in.
    """
    torch.manual_seed(0)
    dtype = getattr(torch, fast_dtype(params.model.dtype, device))
    with torch.device(device), default_dtype(dtype):
        transformer = wan.make_transformer(architecture.transformer)
    text_encoder = wan.make_text_encoder({**text.UMT5_CONFIG, "d_model": architecture.transformer["text_dim"]})
    wan.save_base(
        Path(BASE),
        transformer=transformer,
        vae=wan.make_vae(architecture.vae),
        text_encoder=text_encoder,
        tokenizer=text.make_tokenizer(),
        grid_steps=params.model.grid_steps,
        shift=params.model.shift,
    )
    facts = BaseFacts(name=f"random weights of {architecture.name}", repository=None, revision=None)
    documents.write_manifest(Path(BASE), facts, inputs={}, params={})


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New tensors are of this format."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
