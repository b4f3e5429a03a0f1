"""DVC stage `evaluate@NAME`: the teacher's baselines or a student, measured against the reference.

Every subject walks from the same noise on the same prompts as the reference.
"""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.clips import write_mp4
from gpd.data.shards import open_latents
from gpd.documents import ClipsFacts, Identity, Manifest, ShownClip
from gpd.evaluation.difference import FULL_LEVELS
from gpd.evaluation.measuring import Bench, Result
from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.evaluation.metrics.score import Score
from gpd.evaluation.profiles import Profile
from gpd.evaluation.reference import LATENTS, OUTPUT, PROMPTS, open_reference
from gpd.params import Params
from gpd.sampling.reference_set import Sample
from gpd.sampling.subjects import load_student, load_teacher, make_baselines

EVALUATIONS = Path("data/evaluations")
CURVE_COLUMNS = ("subject", "sigma", "forwards", "trajectory_error")
SUMMARY = ("trajectory_error", "frechet_latent", "motion_top_ratio", "spectral_space_ratio", "agreement_shape")


def run(params: Params, name: str) -> None:
    """Evaluates the teacher's baselines or one student into data/evaluations/NAME/.

    Raises:
        UserError: there is no such subject, or what it needs is missing or of other params.
    """
    if name not in params.evaluate.subjects:
        raise UserError(f"params.yaml: evaluate.subjects has no {name!r}; it has {', '.join(params.evaluate.subjects)}")
    checkpoint = documents.identify(Path(params.evaluate.subjects[name].checkpoint))
    protocol = make_protocol(params)
    settings = {"evaluate": params.evaluate.model_dump(exclude={"subjects"}), "protocol": protocol["hash"]}
    with documents.recording_run(f"evaluate@{name}", settings) as record:
        latents = open_latents(LATENTS, params)
        bench = Bench(params, open_reference(params), latents)
        results = _measure(params, name, bench, torch.from_numpy(latents.negative()).float())
        with artifacts.replacing(EVALUATIONS / name) as folder:
            _write_scores(folder, protocol, checkpoint.content, results)
            manifest = _write_samples(folder / "samples", params, protocol, checkpoint, results)
        record.wrote(EVALUATIONS / name / "samples", manifest)
        record.forwards, record.device = {"sampling": bench.num_forwards}, results[0].subject.device
    for result in results:
        print(summary(result))


def make_protocol(params: Params) -> dict[str, Any]:
    """What makes scores comparable, under a hash of its own."""
    model = params.model
    protocol = {
        "prompts": documents.identify(PROMPTS).content,
        "num_prompts": params.reference.num_prompts,
        "seeds": params.reference.seeds,
        "height": model.height,
        "width": model.width,
        "num_frames": model.num_frames,
        "shift": model.shift,
        "grid_steps": model.grid_steps,
        "negative_prompt": model.negative_prompt,
        "reference_guidance_scale": params.reference.guidance_scale,
        "diversity_prompts": params.evaluate.diversity_prompts,
        "diversity_seeds": params.evaluate.diversity_seeds,
        "teacher": documents.identify(Path(model.path)).content,
    }
    return {"hash": artifacts.hash_json(protocol), **protocol}


def _measure(params: Params, name: str, bench: Bench, negative: torch.Tensor) -> list[Result]:
    if name != "teacher":
        return [bench.measure(load_student(params, Path(params.evaluate.subjects[name].checkpoint), negative))]
    teacher = load_teacher(params, negative)
    return [bench.describe_reference(teacher), *map(bench.measure, make_baselines(params, teacher))]


def _write_scores(folder: Path, protocol: dict[str, Any], checkpoint: str, results: list[Result]) -> None:
    """evaluation.json, metrics.json, curves.csv and profiles.json."""
    subjects = {result.subject.name: _describe(result, checkpoint) for result in results}
    artifacts.write_json(folder / "evaluation.json", {"format": 1, "protocol": protocol, "subjects": subjects})
    values = {
        name: {"forwards": entry["forwards"]} | {key: found["value"] for key, found in entry["metrics"].items()}
        for name, entry in subjects.items()
    }
    artifacts.write_json(folder / "metrics.json", values)
    with (folder / "curves.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CURVE_COLUMNS)
        writer.writerows(row for result in results for row in _curve_rows(result))
    profiles = {result.subject.name: _describe_profile(result.profile) for result in results}
    curves = {"format": 1, "protocol": protocol["hash"], "subjects": profiles}
    artifacts.write_text(folder / "profiles.json", json.dumps(curves, allow_nan=False) + "\n")  # indented: a page long


def _describe(result: Result, checkpoint: str) -> dict[str, Any]:
    subject = result.subject
    return {
        "checkpoint": checkpoint,
        "solver": subject.solver,
        "steps": subject.grid.num_steps,
        "guidance_scale": subject.guidance_scale,
        "forwards": subject.forwards,
        "metrics": {
            name: {**_rounded(result.scores[name]), "direction": metric.direction}
            for name, metric in CATALOGUE.items()
            if name in result.scores
        },
    }


def _rounded(score: Score) -> dict[str, Any]:
    """Six digits: beyond them lies the order of summation, which differs between machines."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in asdict(score).items()}


def _describe_profile(profile: Profile) -> dict[str, Any]:
    """Of a spectrum its frequencies, in cycles a pixel or frame, and the power at each; motion in px a frame."""
    spectra = {"space": profile.space, "time": profile.time}
    return {
        **{name: {"frequency": _digits(x), "power": _digits(power)} for name, (x, power) in spectra.items()},
        "motion": _digits(profile.motion),
        "motion_top": _digits(profile.motion_top),
    }


def _digits(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def _curve_rows(result: Result) -> list[tuple[str, str, int, str]]:
    subject = result.subject
    return [
        (subject.name, f"{float(subject.grid.sigmas[step]):.6f}", step * subject.forwards_per_step, f"{error:.6f}")
        for step, error in result.curve.items()
    ]


def _write_samples(
    folder: Path,
    params: Params,
    protocol: dict[str, Any],
    checkpoint: Identity,
    results: list[Result],
) -> Manifest[ClipsFacts]:
    """The shown clips of each subject as mp4, and their differences from the reference, with a manifest.

    The manifest says of which prompt and seed each is.
    """

    def write(name: str, sample: Sample, frames: np.ndarray, suffix: str = "") -> ShownClip:
        file = f"{name}-{sample.index:03d}-seed{sample.seed}{suffix}.mp4"
        write_mp4(folder / file, frames, params.encode.frames_per_second)
        return ShownClip(file=file, subject=name, prompt=sample.text, seed=sample.seed)

    clips = [write(result.subject.name, *shown) for result in results for shown in result.shown]
    differences = [
        write(result.subject.name, *shown, "-difference") for result in results for shown in result.differences
    ]
    facts = ClipsFacts(num_samples=len(clips), clips=clips, differences=differences, difference_full_levels=FULL_LEVELS)
    return documents.write_manifest(
        folder,
        facts,
        inputs={"checkpoint": checkpoint, "reference": documents.identify(OUTPUT)},
        params={"frames_per_second": params.encode.frames_per_second, "protocol": protocol["hash"]},
    )


def summary(result: Result) -> str:
    """One line of a subject for a person."""
    subject = result.subject
    known = [(CATALOGUE[name].label, result.scores[name].value) for name in SUMMARY if name in result.scores]
    figures = ", ".join(f"{label.lower()} {value:.3f}" for label, value in known)
    return f"evaluate {subject.name}: {subject.forwards} forwards; {figures}"
