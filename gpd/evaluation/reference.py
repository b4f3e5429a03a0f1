"""DVC stage `reference`: the guided teacher on the base grid, which everything is measured against."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.shards import Latents, open_latents
from gpd.documents import Identity, PromptsFacts, ReferenceFacts
from gpd.evaluation.measuring import diversity_samples, measure_samples
from gpd.evaluation.metrics.frechet import latent_features, num_samples_needed, pixel_features
from gpd.evaluation.metrics.measures import Measures, join
from gpd.models import wan
from gpd.params import Params
from gpd.progress import progress_bar
from gpd.sampling import reference_set
from gpd.sampling.reference_set import ReferenceSet, Sample
from gpd.sampling.subject import Subject, sample_batch, sample_ends
from gpd.sampling.subjects import load_teacher
from gpd.tiny import oracle

PROMPTS, LATENTS, OUTPUT = Path("data/prompts"), Path("data/latents"), Path("data/reference")


def run(params: Params) -> None:
    """Samples the reference into data/reference/.

    Raises:
        UserError: there are fewer evaluation prompts than asked for, or an input is missing or of other params.
    """
    settings = settings_of(params)
    with documents.recording_run("reference", settings) as record:
        samples = choose_samples(params)
        latents = open_latents(LATENTS, params)
        teacher = load_teacher(params, torch.from_numpy(latents.negative()).float())
        codec = wan.ClipCodec(Path(params.model.path), teacher.device)
        with artifacts.replacing(OUTPUT) as folder:
            facts = _fill(folder, params, samples, teacher, codec, latents)
            manifest = documents.write_manifest(folder, facts, inputs=_inputs(params), params=settings)
        record.wrote(OUTPUT, manifest)
        record.forwards, record.device = {"teacher": facts.forwards}, teacher.device
    print(
        f"reference: {facts.num_samples} samples of {teacher.grid.num_steps} steps at guidance "
        f"{teacher.guidance_scale:g}, {facts.forwards:,} forwards -> {OUTPUT}/"
    )


def settings_of(params: Params) -> dict[str, Any]:
    """What of params.yaml determines the reference; its batch size does not."""
    return {
        "model": params.model.model_dump(exclude={"path", "hub", "gradient_checkpointing"}),
        "reference": params.reference.model_dump(exclude={"batch"}),
        "distill": {"final_steps": params.distill.final_steps},
        "evaluate": params.evaluate.model_dump(include={"diversity_prompts", "diversity_seeds"}),
    }


def open_reference(params: Params) -> ReferenceSet:
    """Opens data/reference/.

    Raises:
        UserError: it is missing, or was made with other params or from other inputs.
    """
    manifest = documents.load_manifest(OUTPUT, ReferenceFacts)
    path = OUTPUT / artifacts.MANIFEST
    asked = [(section, key, value) for section, values in settings_of(params).items() for key, value in values.items()]
    for section, key, value in asked:
        made = manifest.params.get(section, {}).get(key)
        if made != value:
            raise UserError(
                f"{path}: made for {section}.{key}={made!r}, params.yaml says {value!r}; run `gpd reference` again"
            )
    for name, current in _inputs(params).items():
        if manifest.inputs[name] != current:
            raise UserError(f"{path}: made from another {name}; run `gpd reference` again")
    return ReferenceSet(OUTPUT)


def _inputs(params: Params) -> dict[str, Identity]:
    folders = {"teacher": Path(params.model.path), "prompts": PROMPTS, "latents": LATENTS}
    return {name: documents.identify(folder) for name, folder in folders.items()}


def choose_samples(params: Params) -> list[Sample]:
    """The first prompts of the evaluation split, once for each seed.

    Raises:
        UserError: there are fewer prompts than params.reference.num_prompts.
    """
    documents.load_manifest(PROMPTS, PromptsFacts)
    lines = (PROMPTS / "prompts.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [row for row in map(json.loads, filter(None, lines)) if row["split"] == "evaluation"]
    number = params.reference.num_prompts
    if len(rows) < number:
        raise UserError(
            f"params.yaml: reference.num_prompts={number}, but {PROMPTS}/prompts.jsonl holds {len(rows)} for evaluation"
        )
    prompts = list(enumerate(rows[:number]))
    return [Sample(row["id"], row["text"], seed, index) for seed in params.reference.seeds for index, row in prompts]


def _fill(
    folder: Path, params: Params, samples: list[Sample], teacher: Subject, codec: wan.ClipCodec, latents: Latents
) -> ReferenceFacts:
    texts, batch = latents.texts("evaluation"), params.reference.batch
    shape = codec.latent_shape(params.model.num_frames, params.model.height, params.model.width)
    stride = params.model.grid_steps // params.distill.final_steps
    points = list(range(stride, params.model.grid_steps + 1, stride))
    several = diversity_samples(params, samples)
    is_readable = oracle.is_readable([sample.text for sample in samples])
    measures = []
    with progress_bar("reference", len(samples) + len(several)) as advance:
        for number, start in enumerate(range(0, len(samples), batch)):
            rows = samples[start : start + batch]
            trajectory = sample_batch(teacher, rows, texts, shape)
            kept = np.stack([trajectory[point].numpy() for point in points], 1)
            frames = codec.decode(trajectory[-1])
            reference_set.save_part(folder, number, kept, frames)
            measures.append(measure_samples(frames, kept[:, -1], rows, is_readable))
            advance(start + len(rows), "samples")
        diversity = _sample_several(
            params, teacher, several, texts, shape, lambda done: advance(len(samples) + done, "samples")
        )
    clips = measure_clips(latents, codec, batch, max_clips=len(samples))
    reference_set.save_rest(
        folder, samples=samples, points=points, measures=join(measures), diversity=diversity, clips=clips
    )
    return ReferenceFacts(
        num_samples=len(samples),
        num_clips=0 if clips is None else len(clips["latent_features"]),
        forwards=teacher.forwards * (len(samples) + len(several)),
    )


def _sample_several(
    params: Params,
    teacher: Subject,
    several: list[Sample],
    texts: dict[str, np.ndarray],
    shape: tuple[int, ...],
    on_done: Callable[[int], None],
) -> np.ndarray | None:
    """Latents [P, S, C, F, H, W] for the diversity ratio."""
    if not several:
        return None
    ends = sample_ends(teacher, several, texts, shape, params.reference.batch, on_done)
    return ends.reshape(-1, params.evaluate.diversity_seeds, *shape)


def measure_clips(latents: Latents, codec: wan.ClipCodec, batch: int, max_clips: int) -> Measures | None:
    """Features of real clips of the evaluation split, as the VAE shows them; None when there are too few."""
    number = min(latents.num_evaluation_clips, max_clips)
    if number < num_samples_needed(2 * codec.num_channels):
        return None
    parts = []
    for start in range(0, number, batch):
        rows = np.stack([latents.evaluation_clip(index)[0] for index in range(start, min(start + batch, number))])
        rows = rows.astype(np.float32)
        frames = codec.decode(torch.from_numpy(rows))
        parts.append({"latent_features": latent_features(rows), "pixel_features": pixel_features(frames)})
    return join(parts)
