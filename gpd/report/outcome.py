"""What the pipeline has left behind, read back for the report: evaluations, students, curves, clips."""

import csv
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd import documents
from gpd.artifacts import UserError
from gpd.documents import ClipsFacts, Identity, Manifest, ShownClip, StudentFacts
from gpd.evaluation.evaluate import EVALUATIONS
from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.params import Params, student_path
from gpd.report.rivals import Rival, load_rivals

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Clip:
    """An mp4 of a subject."""

    path: Path
    subject: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """All evaluated subjects under one protocol.

    Attributes:
        subjects: name -> its part of evaluation.json; students from the last stage down, then the teacher.
        students: stage -> manifest of its student, in the order of training.
        training: stage -> rows of training.csv, where there is one.
        curves: rows of the evaluations' curves.csv.
        differences: each shown clip's difference from the reference, as colours.
        difference_full_levels: how many of 255 levels their brightest colour stands for.
        profiles: subject -> its part of profiles.json.
        rivals: of the ablation, where it was made under the same protocol.
        inputs: name -> reference of each folder that went in.
    """

    protocol: dict[str, Any]
    subjects: dict[str, dict[str, Any]]
    students: dict[str, Manifest[StudentFacts]]
    training: dict[str, Rows]
    curves: Rows
    clips: list[Clip]
    differences: list[Clip]
    difference_full_levels: int
    frames_per_second: float
    profiles: dict[str, dict[str, Any]]
    rivals: list[Rival]
    inputs: dict[str, Identity]

    @property
    def lead(self) -> str | None:
        """The evaluated student of the last stage."""
        return next((name for name in self.subjects if name in self.students), None)

    @property
    def reference(self) -> str:
        """The guided teacher on the base grid."""
        return f"teacher-{self.protocol['grid_steps']}"

    @property
    def rival(self) -> str | None:
        """What the lead must beat: the undistilled teacher with as many steps, guided Euler before others."""
        baselines = self.baselines
        if self.lead is None or not baselines:
            return None
        steps = self.subjects[self.lead]["steps"]

        def rank(name: str) -> tuple[bool, bool, bool]:
            entry = baselines[name]
            return entry["steps"] != steps, entry["guidance_scale"] == 1.0, entry["solver"] != "euler"

        return min(baselines, key=rank)

    @property
    def baselines(self) -> dict[str, dict[str, Any]]:
        """The undistilled teacher in fewer steps."""
        apart = {*self.students, self.reference}
        return {name: entry for name, entry in self.subjects.items() if name not in apart}

    @property
    def line_up(self) -> list[str]:
        """Reference, rival, lead: those that there are."""
        return [name for name in (self.reference, self.rival, self.lead) if name is not None]

    @property
    def metrics(self) -> list[str]:
        """Metrics that at least one subject has, in the catalogue's order."""
        return [name for name in CATALOGUE if any(name in entry["metrics"] for entry in self.subjects.values())]

    @property
    def training_forwards(self) -> dict[str, int]:
        """Stage -> forwards that it and the stages before it took to train."""
        spent = [sum(manifest.facts.forwards.values()) for manifest in self.students.values()]
        return dict(zip(self.students, itertools.accumulate(spent), strict=True))

    def value(self, subject: str, metric: str) -> float | None:
        """A figure, None where it could not be computed."""
        found = self.subjects[subject]["metrics"].get(metric)
        return None if found is None else found["value"]

    def best(self, metric: str, names: list[str]) -> set[str]:
        """Those of `names` that look best at the digits shown; none where all look alike."""
        decimals = CATALOGUE[metric].decimals
        shown = {name: round(value, decimals) for name in names if (value := self.value(name, metric)) is not None}
        badness = {name: CATALOGUE[metric].badness(value) for name, value in shown.items()}
        found = {name for name, value in badness.items() if value <= min(badness.values()) + 1e-12}
        return found if len(found) < len(shown) else set()


def load_outcome(params: Params) -> Outcome:
    """Reads the evaluations of all of params.sample.subjects.

    Raises:
        UserError: an evaluation is missing, or two were made under different protocols.
    """
    names = [name for name in reversed(params.sample.subjects) if name in params.distill.stages]
    names += [name for name in params.sample.subjects if name not in params.distill.stages]
    evaluations = {name: _load_json(name, "evaluation.json") for name in names}
    protocol = _shared_protocol(evaluations)
    profiles = {key: value for name in names for key, value in _load_profiles(name, protocol["hash"]).items()}
    students = {name: documents.load_manifest(Path(student_path(name)), StudentFacts) for name in params.distill.stages}
    samples = {name: documents.load_manifest(EVALUATIONS / name / "clips", ClipsFacts) for name in names}
    subjects = {name: entry for value in evaluations.values() for name, entry in value["subjects"].items()}
    return Outcome(
        protocol=protocol,
        subjects=subjects,
        students=students,
        training={name: rows for name in students if (rows := _read_csv(Path(student_path(name)) / "training.csv"))},
        curves=[row for name in names for row in _read_csv(EVALUATIONS / name / "curves.csv")],
        clips=_clips({name: found.facts.clips for name, found in samples.items()}),
        differences=_clips({name: found.facts.differences for name, found in samples.items()}),
        difference_full_levels=next(iter(samples.values())).facts.difference_full_levels,
        frames_per_second=next(iter(samples.values())).params["frames_per_second"],
        profiles=profiles,
        rivals=load_rivals(protocol["hash"]),
        inputs={f"clips of {name}": manifest.identity for name, manifest in samples.items()}
        | {name: manifest.identity for name, manifest in students.items()},
    )


def _load_json(name: str, file: str) -> dict[str, Any]:
    path = EVALUATIONS / name / file
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `gpd evaluate {name}`") from None
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from None
    return value


def _load_profiles(name: str, protocol: str) -> dict[str, Any]:
    profiles = _load_json(name, "profiles.json")
    if profiles["protocol"] != protocol:
        raise UserError(f"{EVALUATIONS / name}/profiles.json: of another protocol; run `gpd evaluate {name}`")
    return profiles["subjects"]


def _clips(shown: dict[str, list[ShownClip]]) -> list[Clip]:
    return [
        Clip(EVALUATIONS / name / "clips" / clip.file, clip.subject, clip.prompt, clip.seed)
        for name, clips in shown.items()
        for clip in clips
    ]


def _shared_protocol(evaluations: dict[str, dict[str, Any]]) -> dict[str, Any]:
    protocols = {name: evaluation["protocol"] for name, evaluation in evaluations.items()}
    first = next(iter(protocols))
    for name, protocol in protocols.items():
        if protocol["hash"] != protocols[first]["hash"]:
            keys = [key for key in protocol if key != "hash" and protocol[key] != protocols[first].get(key)]
            raise UserError(
                f"{EVALUATIONS / name}/evaluation.json: protocol {', '.join(keys)} differs from that of {first}; "
                "their figures cannot stand in one table: run `gpd evaluate` for both"
            )
    return protocols[first]


def _read_csv(path: Path) -> Rows:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
