"""The student as a person without gpd gets it: a pipeline folder, sampled in plain diffusers."""

from pathlib import Path

import torch

from gpd.bench.workspace import STAGE, latent_shape
from gpd.core.precision import fast_dtype
from gpd.core.randomness import seeded_noise
from gpd.models.adapted import AdaptedModel
from gpd.models.families import open_model
from gpd.models.wan.plain import sample_plain
from gpd.params import Params, student_path
from gpd.sampling.plan import SAMPLES
from gpd.sampling.samples import SampleSet

EXPORTED = Path("exported")


def export(params: Params) -> str:
    """A folder that holds the whole pipeline: the student's own, or one in which its factors are merged."""
    student = open_model(student_path(STAGE))
    if not isinstance(student, AdaptedModel):
        return str(student.folder)
    student.save_merged(EXPORTED)
    return str(EXPORTED)


def distance_from_plain(params: Params, folder: Path, device: str) -> float:
    """|a - b| / |b| of the first sample of the student, a, and of plain diffusers' from the same noise and prompt."""
    samples = SampleSet(SAMPLES / STAGE)
    first = samples.samples[0]
    noise = seeded_noise(latent_shape(params), seed=first.seed, index=first.index)[None]
    wanted = open_model(student_path(STAGE)).student_dtype(params.model.dtype)
    steps, dtype = samples.facts.steps, fast_dtype(wanted, device)
    plain = sample_plain(folder, first.text, noise, num_steps=steps, dtype=dtype, device=device)
    ours = torch.from_numpy(samples.latents([0])[0, -1])
    return float((ours - plain[0]).norm() / plain[0].norm())
