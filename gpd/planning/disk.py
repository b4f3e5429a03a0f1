"""Bytes that a pipeline writes, by folder. DVC's cache holds tracked ones a second time unless it links files."""

import math

from gpd.models.wan.outline import weight_bytes
from gpd.params import Params
from gpd.planning.base import Base
from gpd.planning.memory import FLOAT32, Memory, sizes_of, training_run
from gpd.planning.work import TEXT_TOKENS, Material, listing_of

STORED = {"float32": 4, "float16": 2}
GENERATIONS = 2  # of a train state: the new one is written while the old one is kept
MP4_BYTES_PER_PIXEL = 0.05  # of a shown clip, in the mean


def plan_disk(params: Params, base: Base, memory: Memory, material: Material) -> dict[str, float]:
    """By folder, in the order in which they are written."""
    model, sample = params.model, params.sample
    latent = math.prod(base.latent_shape(model))
    pixels = model.num_frames * model.height * model.width
    trained = FLOAT32 * sizes_of(training_run(params, base, memory.micro_batch)).trained
    others = other_parts(base)
    student = trained if params.distill.lora_rank > 0 else FLOAT32 * parameters(base) + others
    average = trained if params.distill.ema_decay > 0 else 0
    clips = sample.num_prompts * len(sample.seeds)
    shown = 2 * params.evaluate.num_shown_clips * pixels * MP4_BYTES_PER_PIXEL
    return {
        model.path: FLOAT32 * parameters(base) + others,
        "data/latents": latents_bytes(params, base, material),
        "data/students": len(params.distill.stages) * student,
        "data/samples": sum(sample_bytes(params, name, latent) for name in sample.subjects),
        "data/evaluations": len(sample.subjects) * shown,
        ".work/decoded (reference)": clips * pixels * 3,
        ".work/distill (train state)": GENERATIONS * (3 * trained + average + pool_bytes(params, base)),
    }


def parameters(base: Base) -> int:
    """Of the transformer."""
    return sum(weight.numel() for weight in base.outline.parameters())


def other_parts(base: Base) -> float:
    """Text encoder and VAE as the hub has them, in float32; whole students hold them too, for DVC undoes hard links."""
    return float(weight_bytes(base.text_encoder) + weight_bytes(base.vae))


def latents_bytes(params: Params, base: Base, material: Material) -> float:
    """Texts, clips and roll-outs of the shards."""
    size, latent = STORED[params.encode.latent_dtype], math.prod(base.latent_shape(params.model))
    text = TEXT_TOKENS * base.architecture.transformer["text_dim"]
    trajectories = params.encode.rollouts.num * (params.model.grid_steps + 1)
    return float(size * (material.texts * text + (material.clips + trajectories) * latent))


def sample_bytes(params: Params, name: str, latent: int) -> float:
    """Kept points of all rows of a subject."""
    listing = listing_of(params, name)
    return float(FLOAT32 * (len(listing.samples) + len(listing.further)) * len(listing.points) * latent)


def pool_bytes(params: Params, base: Base) -> float:
    """Trajectories under way, of all processes, in CPU memory."""
    return float(FLOAT32 * params.distill.pool_slots * math.prod(base.latent_shape(params.model)))
