"""Bytes that a pipeline writes: by folder, and all with DVC's cache, which copies files into it or links them."""

import math
from collections.abc import Mapping
from pathlib import Path

from gpd.artifacts import WORK
from gpd.models.wan.outline import weight_bytes
from gpd.params import Params
from gpd.planning.base import Base
from gpd.planning.memory import FLOAT32, sizes_of, training_run
from gpd.planning.work import TEXT_TOKENS, Material, listing_of

STORED = {"float32": 4, "float16": 2}
DATA = Path("data")
GENERATIONS = 2  # of a train state: the new one is written while the old one is kept
MP4_BYTES_PER_PIXEL = 0.05  # of a shown clip, in the mean


TRACKED = ("data/latents", "data/students", "data/samples")  # of the folders, those that DVC's cache has, too


def with_cache(params: Params, base: Base, disk: Mapping[str, float]) -> dict[str, float]:
    """Of everything, by how DVC puts outputs back: as copies, or as links to its cache (`cache.type`).

    The cache has equal files once. Links join files that were links before: what whole students have of the base model
    then costs nothing.
    """
    shared = other_parts(base) if params.distill.lora_rank == 0 else 0.0
    number, whole = len(params.distill.stages), sum(disk.values())
    tracked = sum(disk[folder] for folder in TRACKED)
    return {"copies": whole + tracked - max(0, number - 1) * shared, "links": whole - number * shared}


def plan_disk(params: Params, base: Base, material: Material) -> dict[str, float]:
    """By folder, in the order in which they are written."""
    model, sample = params.model, params.sample
    trained = trained_bytes(params, base)
    return {
        model.path: FLOAT32 * parameters(base) + other_parts(base),
        "data/latents": latents_bytes(params, base, material),
        "data/students": len(params.distill.stages) * student_bytes(params, base, trained),
        "data/samples": sum(sample_bytes(params, base, name) for name in sample.subjects),
        "data/evaluations": len(sample.subjects) * shown_bytes(params),
        ".work/decoded (reference)": decoded_bytes(params),
        ".work/distill (train state)": state_bytes(params, base, trained),
    }


def stage_disk(params: Params, base: Base, material: Material, name: str) -> dict[Path, float]:
    """What a DVC stage writes, below which folder; the old output lies there until the new one is complete."""
    stage, _, item = name.partition("@")
    if stage == "encode":
        return {DATA: latents_bytes(params, base, material)}
    if stage == "distill":
        trained = trained_bytes(params, base)
        return {DATA: student_bytes(params, base, trained), WORK: state_bytes(params, base, trained)}
    if stage == "sample":
        return {DATA: sample_bytes(params, base, item)}
    return {DATA: shown_bytes(params), WORK: decoded_bytes(params)}


def trained_bytes(params: Params, base: Base) -> float:
    """Of the weights that learn, in float32."""
    if params.distill.lora_rank == 0:
        return float(FLOAT32 * parameters(base))
    return float(FLOAT32 * sizes_of(training_run(params, base, 1)).trained)


def student_bytes(params: Params, base: Base, trained: float) -> float:
    """A pipeline, or factors alone."""
    return trained if params.distill.lora_rank > 0 else float(FLOAT32 * parameters(base) + other_parts(base))


def state_bytes(params: Params, base: Base, trained: float) -> float:
    """Weights, two moments of each, their average, the pool; twice, while a state replaces the one before."""
    average = trained if params.distill.ema_decay > 0 else 0
    return GENERATIONS * (3 * trained + average + pool_bytes(params, base))


def shown_bytes(params: Params) -> float:
    """Clips of an evaluation and their differences, as mp4."""
    return 2 * params.evaluate.num_shown_clips * _pixels(params) * MP4_BYTES_PER_PIXEL


def decoded_bytes(params: Params) -> float:
    """Frames of the reference's clips."""
    return float(params.sample.num_prompts * len(params.sample.seeds) * _pixels(params) * 3)


def _pixels(params: Params) -> int:
    return params.model.num_frames * params.model.height * params.model.width


def parameters(base: Base) -> int:
    """Of the transformer."""
    return sum(weight.numel() for weight in base.outline.parameters())


def other_parts(base: Base) -> float:
    """Text encoder and VAE as the hub has them, in float32; whole students hold them too."""
    return float(weight_bytes(base.text_encoder) + weight_bytes(base.vae))


def latents_bytes(params: Params, base: Base, material: Material) -> float:
    """Texts, clips and roll-outs of the shards."""
    size, latent = STORED[params.encode.latent_dtype], math.prod(base.latent_shape(params.model))
    text = TEXT_TOKENS * base.architecture.transformer["text_dim"]
    trajectories = params.encode.rollouts.num * (params.model.grid_steps + 1)
    return float(
        size * (material.texts * text + (material.clips * params.encode.windows_per_clip + trajectories) * latent)
    )


def sample_bytes(params: Params, base: Base, name: str) -> float:
    """Kept points of all rows of a subject."""
    listing, latent = listing_of(params, name), math.prod(base.latent_shape(params.model))
    return float(FLOAT32 * (len(listing.samples) + len(listing.further)) * len(listing.points) * latent)


def pool_bytes(params: Params, base: Base) -> float:
    """Trajectories under way, of all processes, in CPU memory."""
    return float(FLOAT32 * params.distill.pool_slots * math.prod(base.latent_shape(params.model)))
