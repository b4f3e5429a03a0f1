"""The evaluations in a tree, of the subjects in its params; git may contain others, of other params."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.outputs import EVALUATION, written
from gpd.documents import Evaluation, SubjectScores, load_document

COLUMNS = ("forwards", "trajectory_error", "frechet_latent", "motion_top_ratio", "spectral_space_ratio")
SHOWN_DIGITS = 4


@dataclass(frozen=True)
class Measured:
    """A subject under one protocol.

    Attributes:
        protocol: its hash.
        is_teacher: undistilled, in however many steps.
    """

    name: str
    protocol: str
    is_teacher: bool
    scores: SubjectScores

    @property
    def content(self) -> str:
        """The checkpoint's hash."""
        return self.scores.checkpoint

    @property
    def values(self) -> dict[str, float]:
        """Forwards and metrics by name; what was not computed is absent."""
        found = {name: score.value for name, score in self.scores.metrics.items()}
        return {"forwards": float(self.scores.forwards), **found}


def measured(folder: Path) -> list[Measured]:
    """The subjects of all evaluations of a tree, the teacher's last, the cheapest first."""
    found = [subject for path in written(folder, EVALUATION) for subject in _subjects(path)]
    return sorted(found, key=lambda subject: (subject.is_teacher, subject.scores.forwards, subject.name))


def _subjects(path: Path) -> list[Measured]:
    """A student is called as its evaluation is: another may have taken its place."""
    evaluation = load_document(Evaluation, path, "the stage that writes it did not run")
    protocol, found = evaluation.protocol, []
    for name, scores in evaluation.subjects.items():
        is_teacher = scores.checkpoint == protocol.teacher
        found.append(Measured(name if is_teacher else path.parent.name, protocol.hash, is_teacher, scores))
    return found


def measurements(folder: Path) -> dict[str, dict[str, float]]:
    """Subject -> forwards and metrics."""
    return {subject.name: subject.values for subject in measured(folder)}


def result_rows(subjects: list[Measured]) -> list[dict[str, Any]]:
    """One row a subject."""
    return [{"subject": subject.name, **rounded(subject.values)} for subject in subjects]


def rounded(metrics: dict[str, float]) -> dict[str, float | str]:
    """The leading metrics; a metric that was not computed is a dash, not 0."""
    return {name: float(f"{metrics[name]:.{SHOWN_DIGITS}g}") if name in metrics else "-" for name in COLUMNS}
