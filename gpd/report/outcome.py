"""What the pipeline has left behind, read back for the report. No other module here reads params or paths."""

import csv
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gpd import documents
from gpd.artifacts import UserError
from gpd.documents import (
    AblationRow,
    ClipsFacts,
    Evaluation,
    Identity,
    Manifest,
    Profiles,
    Protocol,
    Score,
    ShownClip,
    StudentFacts,
    SubjectProfile,
    SubjectScores,
)
from gpd.documents.collapse import signs_of_collapse
from gpd.documents.inside import path_inside
from gpd.evaluation.metrics import METRICS
from gpd.evaluation.protocol import EVALUATIONS
from gpd.params import Params, student_path
from gpd.report.floors import load_floors
from gpd.report.rivals import load_rivals

CLIPS, TRAINING = "clips", "training.csv"

T = TypeVar("T")
Lines = list[dict[str, str]]  # of a CSV file, by column


@dataclass(frozen=True)
class Clip:
    """An mp4 of a subject."""

    path: Path
    subject: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class Strip:
    """How a student learnt: mp4s by prompt, in each the samples after `columns` iterations, the teacher's last."""

    columns: list[str]
    rows: dict[str, Path]


@dataclass(frozen=True)
class Outcome:
    """All evaluated subjects under one protocol.

    Attributes:
        subjects: by name; students from the last stage down, then the teacher.
        students: stage -> manifest of its student, in the order of training.
        training: stage -> rows of training.csv, if there is one.
        curves: rows of the evaluations' curves.csv.
        differences: each shown clip's difference from the reference, as colours.
        difference_full_levels: how many of 255 levels their brightest colour stands for.
        rivals: of the ablation, if it was made under the same protocol.
        inputs: name -> identity of each folder that went in.
        strips: student -> the samples that it kept while it was trained, if any.
        floors: what was set against the reference, no student among it -> metric -> score; empty if not measured.
    """

    protocol: Protocol
    subjects: dict[str, SubjectScores]
    students: dict[str, Manifest[StudentFacts]]
    training: dict[str, Lines]
    curves: Lines
    clips: list[Clip]
    differences: list[Clip]
    difference_full_levels: int
    frames_per_second: float
    profiles: dict[str, SubjectProfile]
    rivals: list[AblationRow]
    inputs: dict[str, Identity]
    strips: dict[str, Strip]
    floors: dict[str, dict[str, Score]]

    @property
    def reference(self) -> str:
        """The guided teacher on the base grid."""
        return f"teacher-{self.protocol.grid_steps}"

    @property
    def baselines(self) -> dict[str, SubjectScores]:
        """The undistilled teacher in fewer steps."""
        apart = {*self.students, self.reference}
        return {name: subject for name, subject in self.subjects.items() if name not in apart}

    @property
    def by_steps(self) -> dict[int, list[str]]:
        """Number of steps, falling -> who samples in so many: the reference, students, guided Euler, others."""
        names = sorted(self.subjects, key=self._rank)
        groups = itertools.groupby(names, lambda name: self.subjects[name].steps)
        return {steps: list(group) for steps, group in groups}

    def _rank(self, name: str) -> tuple[int, bool, bool, bool, bool]:
        subject = self.subjects[name]
        is_plain = subject.guidance_scale == 1.0, subject.solver != "euler"
        return -subject.steps, name != self.reference, name not in self.students, *is_plain

    def students_in(self, steps: int) -> list[str]:
        """Evaluated students of so many steps."""
        return [name for name in self.by_steps.get(steps, []) if name in self.students]

    def baselines_in(self, steps: int) -> list[str]:
        """The undistilled teacher in so many steps, guided Euler before others."""
        return [name for name in self.by_steps.get(steps, []) if name in self.baselines]

    @property
    def line_up(self) -> dict[str, str | None]:
        """Student, in the order of training -> what it must beat: the undistilled teacher in as many steps.

        Students without one are left out, but for the last.
        """
        evaluated = [name for name in self.students if name in self.subjects]
        beside = {name: next(iter(self.baselines_in(self.subjects[name].steps)), None) for name in evaluated}
        return {name: found for name, found in beside.items() if found is not None or name == evaluated[-1]}

    @property
    def collapsed(self) -> dict[str, list[str]]:
        """Students that have collapsed, with its signs; they stand in the tables like others."""
        found = {name: signs_of_collapse(self._values(name)) for name in self.students if name in self.subjects}
        return {name: signs for name, signs in found.items() if signs}

    def _values(self, subject: str) -> dict[str, float]:
        return {metric: score.value for metric, score in self.subjects[subject].metrics.items()}

    @property
    def contenders(self) -> list[str]:
        """Students and baselines: the reference, which they are measured against, takes no part."""
        return [name for name in self.subjects if name != self.reference]

    @property
    def metrics(self) -> list[str]:
        """Metrics that at least one subject has, in the catalogue's order."""
        return [name for name in METRICS if any(name in subject.metrics for subject in self.subjects.values())]

    @property
    def training_forwards(self) -> dict[str, int]:
        """Stage -> forwards that it and the stages before it took to train, as the ablation counts: without probes."""
        spent = [sum(facts.forwards.values()) - facts.forwards.get("probe", 0) for facts in self._facts()]
        return dict(zip(self.students, itertools.accumulate(spent), strict=True))

    def _facts(self) -> Iterable[StudentFacts]:
        return (manifest.facts for manifest in self.students.values())

    def score(self, subject: str, metric: str) -> Score | None:
        """A figure of a subject or a floor, None if it could not be computed."""
        found = self.subjects[subject].metrics if subject in self.subjects else self.floors[subject]
        return found.get(metric)

    def best(self, metric: str, names: list[str]) -> set[str]:
        """Those of `names` that look best at the digits shown; none if all look alike."""
        return find_best(metric, {name: found.value for name in names if (found := self.score(name, metric))})


def find_best(metric: str, values: dict[str, float]) -> set[str]:
    """Names whose values look best at the digits shown; none if all look alike."""
    entry = METRICS[metric]
    badness = {name: entry.badness(round(value, entry.decimals)) for name, value in values.items()}
    found = {name for name, value in badness.items() if value <= min(badness.values()) + 1e-12}
    return found if len(found) < len(values) else set()


def load_outcome(params: Params) -> Outcome:
    """Reads the evaluations of all of params.sample.subjects.

    Raises:
        UserError: an evaluation is missing, or two were made under different protocols.
    """
    names = [name for name in reversed(params.sample.subjects) if name in params.distill.stages]
    names += [name for name in params.sample.subjects if name not in params.distill.stages]
    evaluations = {name: load_evaluation(name) for name in names}
    protocol = _shared_protocol({name: found.protocol for name, found in evaluations.items()})
    students = {name: documents.load_manifest(Path(student_path(name)), StudentFacts) for name in params.distill.stages}
    clips = {name: documents.load_manifest(EVALUATIONS / name / CLIPS, ClipsFacts) for name in names}
    for name, evaluation in evaluations.items():
        evaluation.check(EVALUATIONS / name)
    first = next(iter(clips.values()))
    return Outcome(
        protocol=protocol,
        subjects=_joined(evaluation.subjects for evaluation in evaluations.values()),
        students=students,
        training={name: rows for name in students if (rows := _training(name))},
        curves=[row for name in names for row in _read_csv(EVALUATIONS / name / "curves.csv")],
        clips=[clip for name, found in clips.items() for clip in _clips(name, found, found.facts.clips)],
        differences=[clip for name, found in clips.items() for clip in _clips(name, found, found.facts.differences)],
        difference_full_levels=first.facts.difference_full_levels,
        frames_per_second=first.params["encode.frames_per_second"],
        profiles=_joined(_load_profiles(name, protocol) for name in names),
        rivals=load_rivals(protocol.hash),
        inputs={f"{CLIPS} of {name}": manifest.identity for name, manifest in clips.items()}
        | {name: manifest.identity for name, manifest in students.items()},
        strips={name: found for name, manifest in clips.items() if (found := _strip(name, manifest))},
        floors=load_floors(protocol.hash),
    )


def load_evaluation(name: str) -> Evaluation:
    """What was measured of a subject of params."""
    return documents.load_document(Evaluation, EVALUATIONS / name / "evaluation.json", f"run `gpd evaluate {name}`")


def _load_profiles(name: str, protocol: Protocol) -> dict[str, SubjectProfile]:
    path, advice = EVALUATIONS / name / "profiles.json", f"run `gpd evaluate {name}`"
    profiles = documents.load_document(Profiles, path, advice)
    if profiles.protocol != protocol.hash:
        raise UserError(f"{path}: of another protocol; {advice}")
    return profiles.subjects


def _joined(parts: Iterable[dict[str, T]]) -> dict[str, T]:
    return {key: value for part in parts for key, value in part.items()}


def _training(name: str) -> Lines:
    folder = Path(student_path(name))
    if (folder / TRAINING).is_file():
        documents.check_files(folder, TRAINING)
    return _read_csv(folder / TRAINING)


def _clips(name: str, manifest: Manifest[ClipsFacts], shown: list[ShownClip]) -> list[Clip]:
    folder = EVALUATIONS / name / CLIPS
    for clip in shown:
        path_inside(folder, clip.file)
        manifest.check(folder, clip.file)
    return [Clip(path_inside(folder, clip.file), clip.subject, clip.prompt, clip.seed) for clip in shown]


def _strip(name: str, manifest: Manifest[ClipsFacts]) -> Strip | None:
    shown, folder = manifest.facts.strip, EVALUATIONS / name / CLIPS
    if shown is None:
        return None
    for row in shown.rows:
        path_inside(folder, row.file)
        manifest.check(folder, row.file)
    return Strip(shown.columns, {row.prompt: path_inside(folder, row.file) for row in shown.rows})


def _shared_protocol(protocols: dict[str, Protocol]) -> Protocol:
    first, expected = next(iter(protocols.items()))
    for name, protocol in protocols.items():
        if protocol.hash != expected.hash:
            keys = [key for key, value in protocol if key != "hash" and value != getattr(expected, key)]
            raise UserError(
                f"{EVALUATIONS / name}/evaluation.json: protocol {', '.join(keys)} differs from that of {first}; "
                "their figures cannot stand in one table: run `gpd evaluate` for both"
            )
    return expected


def _read_csv(path: Path) -> Lines:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
