"""The report's tables: subjects by metrics, rivals of the ablation, what training cost."""

from dataclasses import dataclass
from itertools import chain

from gpd.documents import AblationRow
from gpd.evaluation.metrics import METRICS
from gpd.report.outcome import Outcome, find_best
from gpd.report.rivals import rivals_by_steps

ARROWS = {"lower": "↓", "higher": "↑", "one": "→\u00a01"}
HEADLINES = {name: metric.headline for name, metric in METRICS.items() if metric.headline}
ROLES = ("teacher", "previous", "student", "probe")


@dataclass(frozen=True)
class Cell:
    """A figure as it is shown; `spread` is empty if there is none."""

    figure: str
    spread: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class RivalRow:
    """A rival, what it costs, and its figures in the order of the columns."""

    label: str
    counts: list[str]
    cells: list[Cell]


@dataclass(frozen=True)
class RivalTable:
    """Rivals beside each other by some metrics."""

    metrics: list[str]
    rows: list[RivalRow]


def figure_text(metric: str, value: float) -> str:
    """A value at the metric's digits, or with its exponent where these would show nothing."""
    decimals = METRICS[metric].decimals
    return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-decimals else f"{value:.{decimals}f}"


def make_cell(metric: str, value: float | None, spread: float | None, is_best: bool) -> Cell:
    """A dash without a value. A spread has the figure's own digits: what these do not show is none to speak of."""
    if value is None:
        return Cell("–")
    shown = "" if spread is None else f"± {spread:.{METRICS[metric].decimals}f}"
    return Cell(figure_text(metric, value), shown, is_best)


def columns(outcome: Outcome) -> list[str]:
    """Those in as many steps beside each other, the most steps first; then the floors."""
    return [*chain.from_iterable(outcome.by_steps.values()), *outcome.floors]


def make_scores(outcome: Outcome, names: list[str]) -> dict[str, list[Cell]]:
    """Metric -> a cell for each subject or floor of `names`, the best of those in as many steps marked.

    The reference, which others are measured against, takes no part.
    """
    competing = {name for name in names if name in outcome.contenders}
    groups = [[name for name in group if name in competing] for group in outcome.by_steps.values()]
    best = {metric: set[str]().union(*(outcome.best(metric, group) for group in groups)) for metric in outcome.metrics}
    return {
        metric: [_score_cell(outcome, metric, name, name in best[metric]) for name in names]
        for metric in outcome.metrics
    }


def _score_cell(outcome: Outcome, metric: str, name: str, is_best: bool) -> Cell:
    score = outcome.score(name, metric)
    return Cell("–") if score is None else make_cell(metric, score.value, score.spread, is_best)


def count_wins(outcome: Outcome, student: str, baseline: str) -> tuple[int, int]:
    """In how many metrics the student is ahead of the baseline, and of how many in which the two differ."""
    best = [outcome.best(metric, [student, baseline]) for metric in outcome.metrics]
    return sum(found == {student} for found in best), sum(bool(found) for found in best)


def rival_tables(rivals: list[AblationRow]) -> list[RivalTable]:
    """One of the metrics that have a column in the ablation's tables, and one of the others: all would be too wide."""
    known = [metric for metric in METRICS if any(metric in row.metrics for row in rivals)]
    parts = [[metric for metric in known if bool(METRICS[metric].column) == has_column] for has_column in (True, False)]
    return [RivalTable(metrics, _rival_rows(rivals, metrics)) for metrics in parts if metrics]


def _rival_rows(rivals: list[AblationRow], metrics: list[str]) -> list[RivalRow]:
    """By number of steps, then by training cost; the best in as many steps is marked unless two share the place."""
    rows = []
    for some in rivals_by_steps(rivals).values():
        best = {metric: _best_rivals(some, metric) for metric in metrics}
        rows += [
            RivalRow(
                label=row.label,
                counts=[f"{count:,}" for count in (row.sampling_forwards, row.training_forwards, row.num_seeds)],
                cells=[_rival_cell(row, metric, best[metric] == {row.variant}) for metric in metrics],
            )
            for row in sorted(some, key=lambda row: row.training_forwards)
        ]
    return rows


def _best_rivals(rivals: list[AblationRow], metric: str) -> set[str]:
    return find_best(metric, {row.variant: row.metrics[metric].mean for row in rivals if metric in row.metrics})


def _rival_cell(row: AblationRow, metric: str, is_best: bool) -> Cell:
    found = row.metrics.get(metric)
    return Cell("–") if found is None else make_cell(metric, found.mean, found.std, is_best)


def make_ledger(outcome: Outcome) -> list[list[str]]:
    """Forwards that training spent, by stage and role; a backward counts as two."""
    return [
        [
            name,
            f"{manifest.facts.samples_seen:,}",
            *(f"{manifest.facts.forwards.get(role, 0):,}" for role in ROLES),
            f"{outcome.training_forwards[name]:,}",
        ]
        for name, manifest in outcome.students.items()
    ]
