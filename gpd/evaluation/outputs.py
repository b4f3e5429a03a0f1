"""The files of data/evaluations/NAME/: scores, curves and profiles as text, the shown clips as mp4."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gpd import artifacts
from gpd.data.clips import write_mp4
from gpd.documents import (
    ClipsFacts,
    Evaluation,
    File,
    Profiles,
    Protocol,
    Sample,
    Score,
    ShownClip,
    Spectrum,
    SubjectProfile,
    SubjectScores,
    write_document,
)
from gpd.documents.inside import path_inside
from gpd.evaluation.difference import FULL_LEVELS
from gpd.evaluation.measuring import Result
from gpd.evaluation.metrics import METRICS
from gpd.evaluation.profiles import Profile
from gpd.evaluation.score import Score as Figure

CURVE_COLUMNS = ("subject", "sigma", "forwards", "trajectory_error")


def write_scores(folder: Path, protocol: Protocol, checkpoint: str, result: Result) -> None:
    """evaluation.json, metrics.json, curves.csv and profiles.json."""
    name = result.facts.subject
    subject = describe(result, checkpoint)
    values = {key: found.value for key, found in subject.metrics.items()}
    artifacts.write_json(folder / "metrics.json", {"forwards": subject.forwards, **values})
    with (folder / "curves.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CURVE_COLUMNS)
        for point in result.curve:
            writer.writerow((name, f"{point.sigma:.6f}", point.forwards, f"{point.error:.6f}"))
    profiles = Profiles(protocol=protocol.hash, subjects={name: describe_profile(result.profile)})
    text = json.dumps(profiles.model_dump(mode="json"), allow_nan=False)  # indented it would be a page long
    artifacts.write_text(folder / "profiles.json", text + "\n")
    files = {key: File.model_validate(entry) for key, entry in artifacts.list_files(folder).items()}
    evaluation = Evaluation(protocol=protocol, subjects={name: subject}, files=files)
    write_document(folder / "evaluation.json", evaluation)


def describe(result: Result, checkpoint: str) -> SubjectScores:
    """A subject's part of evaluation.json; what was measured and how it was sampled."""
    facts = result.facts
    return SubjectScores(
        checkpoint=checkpoint,
        solver=facts.solver,
        steps=facts.steps,
        guidance_scale=facts.guidance_scale,
        forwards=facts.forwards,
        metrics=describe_scores(result.scores),
    )


def describe_scores(scores: Mapping[str, Figure]) -> dict[str, Score]:
    """Figures as they stand in documents, in the catalogue's order."""
    return {
        name: Score(
            value=_rounded(found.value),
            num_samples=found.num_samples,
            spread=None if found.spread is None else _rounded(found.spread),
            direction=metric.direction,
        )
        for name, metric in METRICS.items()
        if (found := scores.get(name)) is not None
    }


def _rounded(value: float) -> float:
    """Six digits: beyond them lies the order of summation, which differs between machines."""
    return float(f"{value:.6g}")


def describe_profile(profile: Profile) -> SubjectProfile:
    """A subject's part of profiles.json."""
    space, time = (
        Spectrum(frequency=_digits(frequency), power=_digits(power))
        for frequency, power in (profile.space, profile.time)
    )
    return SubjectProfile(
        space=space, time=time, motion=_digits(profile.motion), motion_top=_digits(profile.motion_top)
    )


def _digits(values: np.ndarray) -> list[float]:
    return [_rounded(value) for value in values.tolist()]


def write_clips(folder: Path, frames_per_second: float, result: Result) -> ClipsFacts:
    """The shown clips of a subject and their differences from the reference; prompt and seed of each are returned."""

    def write(sample: Sample, frames: np.ndarray, suffix: str = "") -> ShownClip:
        name = result.facts.subject
        file = f"{name}-{sample.index:03d}-seed{sample.seed}{suffix}.mp4"
        write_mp4(path_inside(folder, file), frames, frames_per_second)
        return ShownClip(file=file, subject=name, prompt=sample.text, seed=sample.seed)

    clips = [write(*shown) for shown in result.shown]
    differences = [write(*shown, "-difference") for shown in result.differences]
    return ClipsFacts(num_samples=len(clips), clips=clips, differences=differences, difference_full_levels=FULL_LEVELS)
