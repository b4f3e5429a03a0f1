"""The report's curves."""

from gpd.commands.outcome import Outcome
from gpd.metrics.catalogue import CATALOGUE
from gpd.page.chart import Series, line_chart

STUDENT, BASELINE, BEFORE, AFTER = 0, 1, 7, 0


def make_charts(outcome: Outcome) -> list[str]:
    """All charts that there are figures for, as HTML."""
    charts = [
        *(_cost_chart(outcome, metric) for metric in ("trajectory_error", "frechet_latent")),
        _trajectory_chart(outcome),
        _stage_chart(outcome, "residual", "Residual of the target, before and after each stage", "residual"),
        _stage_chart(
            outcome, "rollout_distance", "Distance to the true guided roll-out, by stage", "distance, relative"
        ),
        _loss_chart(outcome),
    ]
    return [chart for chart in charts if chart]


def _cost_chart(outcome: Outcome, metric: str) -> str:
    def series(name: str, subjects: list[str], colour: int, is_line: bool) -> Series:
        found = [
            (outcome.subjects[subject]["forwards"], value, subject)
            for subject in subjects
            if (value := outcome.value(subject, metric)) is not None
        ]
        found.sort()
        return Series(name, [(x, y) for x, y, _ in found], colour, is_line, [subject for *_, subject in found])

    groups = [
        series("students", [name for name in outcome.subjects if name in outcome.students], STUDENT, True),
        series("undistilled teacher", list(outcome.baselines), BASELINE, False),
    ]
    title = f"{CATALOGUE[metric].label} against cost"
    shown = [group for group in groups if group.points]
    return line_chart(title, "forwards a clip", CATALOGUE[metric].label, shown, log_x=True)


def _colour(outcome: Outcome, subject: str) -> int:
    """A subject has one colour in all charts."""
    shown = [name for name in outcome.subjects if name != outcome.reference]
    return shown.index(subject) if subject in shown else len(shown)


def _trajectory_chart(outcome: Outcome) -> str:
    names = [name for name in outcome.subjects if any(row["subject"] == name for row in outcome.curves)]
    series = []
    for name in names:
        rows = [row for row in outcome.curves if row["subject"] == name]
        points = [(1 - float(row["sigma"]), float(row["trajectory_error"])) for row in rows]
        series.append(Series(name, points, _colour(outcome, name)))
    return line_chart("Error along the trajectory", "1 − σ: from noise to clip", "trajectory error", series)


def _stage_chart(outcome: Outcome, key: str, title: str, label: str) -> str:
    def series(when: str, colour: int) -> Series:
        facts = [(name, manifest["facts"]) for name, manifest in outcome.students.items()]
        known = [(name, fact["horizon"], fact[when][key]) for name, fact in facts if key in fact.get(when, {})]
        return Series(when, [(x, y) for _, x, y in known], colour, True, [f"{name}, {when}" for name, *_ in known])

    return line_chart(
        title, "horizon of the stage, base intervals", label, [series("before", BEFORE), series("after", AFTER)]
    )


def _loss_chart(outcome: Outcome) -> str:
    series = []
    for name, rows in outcome.training.items():
        points = [
            (float(row["iteration"]), float(row["loss"])) for row in rows if row.get("iteration") and row.get("loss")
        ]
        series.append(Series(name, points, _colour(outcome, name)))
    return line_chart("Training loss", "iteration of the stage", "loss", series, log_y=True)
