"""Samples VBench's clips: by its names, from the seeds of Wan's entry, each once however often it is stopped."""

from pathlib import Path
from typing import Any

from torch import Tensor

from gpd import documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.data.clips import write_mp4
from gpd.models.base import TextEncoder
from gpd.models.families import open_model
from gpd.params import Params
from gpd.progress import progress_bar
from gpd.sampling.generator import choose_folder, load_subject
from gpd.sampling.subject import Subject
from gpd.vbench.suite import Clip, Prompt

TEXTS_AT_ONCE = 16


def find_checkpoint(params: Params, subject: str | None, checkpoint: str | None) -> Path:
    """The folder of the checkpoint that the user names: teacher, a stage, or what `gpd generate` understands."""
    return Path(params.model.path) if subject == "teacher" else choose_folder(params, subject, checkpoint)


def read_sampling_prompts(path: Path | None, prompts: list[Prompt]) -> dict[str, str]:
    """The text that the model gets for each prompt: the prompt itself, or its line in a file of extended prompts.

    Raises:
        UserError: the file has not one line for each prompt of the suite.
    """
    texts = [prompt.text for prompt in prompts]
    if path is None:
        return dict(zip(texts, texts, strict=True))
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    if len(lines) != len(texts):
        raise UserError(f"--sampling-prompts={path}: {len(lines)} lines, the suite has {len(texts)} prompts")
    return dict(zip(texts, lines, strict=True))


def sampling_protocol(params: Params, folder: Path) -> dict[str, Any]:
    """Everything about the sampling that a score depends on."""
    model, manifest = params.model, documents.load_manifest(folder)
    return {
        "checkpoint": manifest.content,
        "guidance_scale": params.sample.reference.guidance_scale if manifest.kind == "base" else 1.0,
        "negative_prompt": model.negative_prompt,
        "solver": "euler",
        "shift": model.shift,
        "grid_steps": model.grid_steps,
        "height": model.height,
        "width": model.width,
        "num_frames": model.num_frames,
        "frames_per_second": params.encode.frames_per_second,
        "colours": "bt601",  # VBench reads by OpenCV, which takes all clips for that
        "seeds": "100000 * prompt + video",
    }


def sample_clips(params: Params, checkpoint: Path, clips: list[Clip], told: dict[str, str], folder: Path) -> Subject:
    """Writes the clips into `folder`; each appears whole or not at all.

    Args:
        told: the text that the model gets, by the prompt's text.
    """
    base = open_model(params.model.path)
    encoder = base.load_text_encoder()
    subject = load_subject(params, checkpoint, encoder)
    texts = _encode(encoder, sorted({told[clip.prompt.text] for clip in clips}))
    del encoder  # 11 GB at Wan's size
    codec = base.load_codec(subject.device)
    shape = base.geometry.latent_shape(params.model.num_frames, params.model.height, params.model.width)
    with progress_bar(f"vbench {subject.name}", len(clips)) as advance:
        for start in range(0, len(clips), params.sample.batch):
            batch = clips[start : start + params.sample.batch]
            noise = [seeded_noise(shape, seed=clip.seed, index=0) for clip in batch]
            end = subject.walk(noise, [texts[told[clip.prompt.text]] for clip in batch])[-1]
            for clip, frames in zip(batch, codec.decode(end), strict=True):
                write_mp4(folder / clip.file, frames, params.encode.frames_per_second, is_bt601=True)
            advance(start + len(batch), "clips")
    return subject


def _encode(encoder: TextEncoder, texts: list[str]) -> dict[str, Tensor]:
    """Embeddings [L, D] by text."""
    parts = [texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE)]
    return dict(zip(texts, [rows for part in parts for rows in encoder.encode(part)], strict=True))
