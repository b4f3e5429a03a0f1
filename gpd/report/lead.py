"""What a reader sees first: each student beside the undistilled teacher in as many steps."""

from dataclasses import dataclass

from gpd.documents import SubjectScores
from gpd.evaluation.metrics import METRICS
from gpd.report.outcome import Outcome
from gpd.report.tables import ARROWS, HEADLINES, Cell, count_wins, figure_text, make_scores


@dataclass(frozen=True)
class Tile:
    """A student, its cost, and a line for each metric that charts draw: its figure beside the baseline's."""

    name: str
    forwards: int
    lines: list[str]


@dataclass(frozen=True)
class Row:
    """A subject by the headline metrics; of a baseline, in how many of all metrics the student is ahead of it."""

    name: str
    subject: SubjectScores
    cells: list[Cell]
    ahead: str


def make_tiles(outcome: Outcome) -> list[Tile]:
    """One for each student of the line-up."""
    return [
        Tile(student, outcome.subjects[student].forwards, _lines(outcome, student, baseline))
        for student, baseline in outcome.line_up.items()
    ]


def _lines(outcome: Outcome, student: str, baseline: str | None) -> list[str]:
    drawn = [name for name, metric in METRICS.items() if metric.axis]
    return [
        f"{label_of(metric)} {figure_text(metric, score.value)}{_beside(outcome, baseline, metric)}"
        for metric in drawn
        if (score := outcome.score(student, metric))
    ]


def _beside(outcome: Outcome, baseline: str | None, metric: str) -> str:
    score = None if baseline is None else outcome.score(baseline, metric)
    return "" if score is None else f"; {baseline}: {figure_text(metric, score.value)}"


def label_of(metric: str) -> str:
    """Its label, and which way is better."""
    return f"{METRICS[metric].label} {ARROWS[METRICS[metric].direction]}"


def headlines(outcome: Outcome) -> list[str]:
    """The metrics of the rows."""
    return [metric for metric in outcome.metrics if metric in HEADLINES]


def make_rows(outcome: Outcome) -> list[list[Row]]:
    """All subjects, those in as many steps together, the most steps first."""
    scores = make_scores(outcome, list(outcome.subjects))
    places = {name: place for place, name in enumerate(outcome.subjects)}
    return [
        [
            Row(
                name=name,
                subject=outcome.subjects[name],
                cells=[scores[metric][places[name]] for metric in headlines(outcome)],
                ahead=_ahead(outcome, name, steps),
            )
            for name in names
        ]
        for steps, names in outcome.by_steps.items()
    ]


def _ahead(outcome: Outcome, name: str, steps: int) -> str:
    """Of the last student in as many steps; empty for students, and if there is none."""
    students = outcome.students_in(steps)
    if name not in outcome.baselines or not students:
        return ""
    won, differing = count_wins(outcome, students[-1], name)
    return f"{students[-1]} in {won} of {differing}"
