"""The report's curves of cost, trajectory and training."""

from collections.abc import Mapping

from gpd.documents import AblationRow
from gpd.evaluation.metrics import METRICS
from gpd.pages.chart import Series, line_chart
from gpd.pages.dots import Dot, dot_chart
from gpd.pages.html import Markup
from gpd.pages.palette import INK, SOFT
from gpd.report.floors import OTHER_NOISE
from gpd.report.outcome import Outcome
from gpd.report.rivals import rivals_by_steps

QUALITY = {name: metric.axis == "log" for name, metric in METRICS.items() if metric.axis}


def make_cost_charts(outcome: Outcome) -> list[Markup]:
    """Quality over forwards a clip; for rivals of each number of steps over those of training and as a ranking too."""
    charts = [_cost_chart(outcome, metric) for metric in QUALITY]
    for steps, rivals in rivals_by_steps(outcome.rivals).items():
        charts += [_training_cost_chart(outcome, metric, steps, rivals) for metric in QUALITY]
        charts += [_ranking(outcome, metric, steps, rivals) for metric in QUALITY]
    return charts


def make_training_charts(outcome: Outcome) -> list[Markup]:
    """Error along the trajectory, and what each stage did."""
    return [
        _trajectory_chart(outcome),
        _stage_chart(outcome, "residual", "Residual of the target, before and after each stage", "residual"),
        _stage_chart(
            outcome, "rollout_distance", "Distance to the true guided roll-out, by stage", "distance, relative"
        ),
        _loss_chart(outcome),
    ]


def _cost_chart(outcome: Outcome, metric: str) -> Markup:
    costs = {name: subject.forwards for name, subject in outcome.subjects.items()}
    groups = [
        _rivals(outcome.rivals, metric, [row.sampling_forwards for row in outcome.rivals]),
        _chain(outcome, metric, costs),
        *(_subject(outcome, metric, name, costs[name]) for name in outcome.contenders),
    ]
    return _quality_chart(outcome, metric, "forwards a clip", "against cost of a clip", groups, log_x=True)


def _training_cost_chart(outcome: Outcome, metric: str, steps: int, rivals: list[AblationRow]) -> Markup:
    """Rivals and students in so many steps by what they took to train; the undistilled teacher took nothing."""
    students = {name: outcome.training_forwards[name] for name in outcome.students_in(steps)}
    costs = students | dict.fromkeys(outcome.baselines_in(steps), 0)
    groups = [
        _rivals(rivals, metric, [row.training_forwards for row in rivals]),
        *(_subject(outcome, metric, name, forwards) for name, forwards in costs.items()),
    ]
    title = f"in {steps_words(steps)} against cost of training"
    return _quality_chart(outcome, metric, "forwards of training", title, groups, log_x=False)


def steps_words(steps: int) -> str:
    """A number of steps."""
    return f"{steps} step{'s'[: steps > 1]}"


def _quality_chart(
    outcome: Outcome, metric: str, x_label: str, title: str, groups: list[Series], log_x: bool
) -> Markup:
    label, shown = METRICS[metric].label, [group for group in groups if group.points]
    floor = outcome.floors.get(OTHER_NOISE, {}).get(metric)
    return line_chart(
        f"{label} {title}",
        x_label,
        label,
        shown,
        log_x=log_x,
        log_y=QUALITY[metric],
        rule=None if floor is None else floor.value,
        note="" if floor is None else "Dashed: the reference against its own samples from other noise.",
    )


def _subject(outcome: Outcome, metric: str, name: str, cost: int) -> Series:
    """One point in the subject's colour; a student's legend says what it took to train."""
    score, spent = outcome.score(name, metric), outcome.training_forwards.get(name)
    title = name if spent is None else f"{name}, {spent:,} forwards of training"
    points, spreads = ([(float(cost), score.value)], [score.spread]) if score else ([], [])
    return Series(title, points, subject_colour(outcome, name), False, [name] * len(points), spreads, is_named=True)


def _chain(outcome: Outcome, metric: str, costs: Mapping[str, int]) -> Series:
    """A line behind the students of one curriculum."""
    found = {name: outcome.score(name, metric) for name in outcome.students if name in outcome.subjects}
    points = sorted((float(costs[name]), score.value) for name, score in found.items() if score)
    return Series("one curriculum", points if len(points) > 1 else [], SOFT, has_dots=False)


def _rivals(rivals: list[AblationRow], metric: str, costs: list[int]) -> Series:
    known = [(row, float(cost)) for row, cost in zip(rivals, costs, strict=True) if metric in row.metrics]
    rows = [row for row, _ in known]
    points = [(cost, row.metrics[metric].mean) for row, cost in known]
    spreads = [row.metrics[metric].std for row in rows]
    title = f"rivals, about {budget_words(rows)}, mean ± spread"
    return Series(title, points, SOFT, False, [row.label for row in rows], spreads)


def budget_words(rivals: list[AblationRow]) -> str:
    """What each of them took to train."""
    budgets = sorted({row.budget for row in rivals})
    return f"{' or '.join(f'{budget:,}' for budget in budgets)} forwards of training"


def budgets_beside(outcome: Outcome) -> list[str]:
    """For each number of steps that rivals sample in: what they took to train, and what the students took."""
    return [
        f"in {steps_words(steps)} about {budget_words(rivals)} each" + _students_took(outcome, steps)
        for steps, rivals in rivals_by_steps(outcome.rivals).items()
    ]


def _students_took(outcome: Outcome, steps: int) -> str:
    took = [f"{name} above took {outcome.training_forwards[name]:,}" for name in outcome.students_in(steps)]
    return f", while {' and '.join(took)}" if took else ""


def _ranking(outcome: Outcome, metric: str, steps: int, rivals: list[AblationRow]) -> Markup:
    """Rivals of one budget and the undistilled teacher, all in so many steps, best first.

    The students are not among them: they took another budget to train. The default at the rivals' budget is.
    """
    entry = METRICS[metric]
    rows = [
        Dot(row.label, row.metrics[metric].mean, row.metrics[metric].std, SOFT)
        for row in rivals
        if metric in row.metrics
    ]
    rows += [
        Dot(name, score.value, score.spread, subject_colour(outcome, name))
        for name in outcome.baselines_in(steps)
        if (score := outcome.score(name, metric))
    ]
    rows.sort(key=lambda row: entry.badness(row.value))
    title = f"{entry.label} in {steps_words(steps)} at about {budget_words(rivals)}"
    return dot_chart(title, entry.label, rows, is_log=QUALITY[metric])


def subject_colour(outcome: Outcome, subject: str) -> int:
    """A subject has one colour in all charts and shares it with no other; the reference has that of the text."""
    if subject == outcome.reference:
        return INK
    return list(dict.fromkeys([*outcome.contenders, *outcome.students])).index(subject)


def _trajectory_chart(outcome: Outcome) -> Markup:
    series = []
    for name in outcome.subjects:
        rows = [row for row in outcome.curves if row["subject"] == name]
        points = [(1 - float(row["sigma"]), float(row["trajectory_error"])) for row in rows]
        series += [Series(name, points, subject_colour(outcome, name))] if points else []
    return line_chart("Error along the trajectory", "1 − σ: from noise to clip", "trajectory error", series)


def _stage_chart(outcome: Outcome, key: str, title: str, label: str) -> Markup:
    def series(when: str, colour: int) -> Series:
        facts = [manifest.facts for manifest in outcome.students.values()]
        points = [(float(fact.horizon), getattr(getattr(fact, when), key)) for fact in facts]
        return Series(when, points, colour, labels=[f"{name}, {when}" for name in outcome.students])

    both = [series("before", SOFT), series("after", INK)]
    return line_chart(title, "horizon of the stage, base intervals", label, both)


def _loss_chart(outcome: Outcome) -> Markup:
    series = []
    for name, rows in outcome.training.items():
        known = [row for row in rows if row.get("iteration") and row.get("loss")]
        points = [(float(row["iteration"]), float(row["loss"])) for row in known]
        series.append(Series(name, points, subject_colour(outcome, name), has_dots=False))
    return line_chart("Training loss", "iteration of the stage", "loss", series, log_y=True)
