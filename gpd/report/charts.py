"""The report's curves of cost, trajectory and training."""

from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.pages.chart import INK, Series, line_chart
from gpd.pages.dots import Row, dot_chart
from gpd.report.outcome import Outcome
from gpd.report.rivals import Rival

STUDENT, BASELINE, RIVAL, BEFORE, AFTER = 0, 1, 2, 7, 0
QUALITY = {"trajectory_error": False, "frechet_latent": True}  # whether the axis is logarithmic


def make_cost_charts(outcome: Outcome) -> list[str]:
    """Quality over forwards a clip; where there are rivals, over forwards of training and as a ranking too."""
    makers = [_cost_chart, _training_cost_chart, _ranking] if outcome.rivals else [_cost_chart]
    charts = [make(outcome, metric) for make in makers for metric in QUALITY]
    return [chart for chart in charts if chart]


def make_training_charts(outcome: Outcome) -> list[str]:
    """Error along the trajectory, and what each stage did."""
    charts = [
        _trajectory_chart(outcome),
        _stage_chart(outcome, "residual", "Residual of the target, before and after each stage", "residual"),
        _stage_chart(
            outcome, "rollout_distance", "Distance to the true guided roll-out, by stage", "distance, relative"
        ),
        _loss_chart(outcome),
    ]
    return [chart for chart in charts if chart]


def _cost_chart(outcome: Outcome, metric: str) -> str:
    costs = {name: entry["forwards"] for name, entry in outcome.subjects.items()}
    students = [name for name in outcome.subjects if name in outcome.students]
    groups = [
        _subjects(outcome, metric, "students", students, costs, STUDENT),
        _subjects(outcome, metric, "undistilled teacher", list(outcome.baselines), costs, BASELINE),
        _rivals(outcome.rivals, metric, {row.variant: row.sampling_forwards for row in outcome.rivals}),
    ]
    return _quality_chart(metric, "forwards a clip", "against cost of a clip", groups, log_x=True)


def _training_cost_chart(outcome: Outcome, metric: str) -> str:
    """The lead and its rivals by what they took to train; the undistilled teacher in as many steps took nothing."""
    if outcome.lead is None:
        return ""
    steps = outcome.subjects[outcome.lead]["steps"]
    free = {name: 0 for name, entry in outcome.baselines.items() if entry["steps"] == steps}
    costs = outcome.training_forwards
    groups = [
        _subjects(outcome, metric, outcome.lead, [outcome.lead], costs, STUDENT),
        _subjects(outcome, metric, "undistilled teacher", list(free), free, BASELINE),
        _rivals(outcome.rivals, metric, {row.variant: row.training_forwards for row in outcome.rivals}),
    ]
    return _quality_chart(metric, "forwards of training", "against cost of training", groups, log_x=False)


def _quality_chart(metric: str, x_label: str, title: str, groups: list[Series], log_x: bool) -> str:
    label = CATALOGUE[metric].label
    return line_chart(
        f"{label} {title}",
        x_label,
        label,
        [group for group in groups if group.points],
        log_x=log_x,
        log_y=QUALITY[metric],
    )


def _subjects(
    outcome: Outcome, metric: str, title: str, names: list[str], costs: dict[str, int], colour: int
) -> Series:
    """Points by rising cost; students of one curriculum are joined."""
    known = [name for name in names if outcome.value(name, metric) is not None]
    known.sort(key=lambda name: costs[name])
    found = [outcome.subjects[name]["metrics"][metric] for name in known]
    points = [(float(costs[name]), entry["value"]) for name, entry in zip(known, found, strict=True)]
    return Series(title, points, colour, colour == STUDENT, known, [entry["spread"] for entry in found], is_named=True)


def _rivals(rivals: list[Rival], metric: str, costs: dict[str, int]) -> Series:
    known = [(row, row.metrics[metric]) for row in rivals if metric in row.metrics]
    points = [(float(costs[row.variant]), found.mean) for row, found in known]
    labels = [row.label for row, _ in known]
    return Series("rivals, mean ± spread", points, RIVAL, False, labels, [found.std for _, found in known])


def _ranking(outcome: Outcome, metric: str) -> str:
    """Lead, rivals and undistilled teacher at the lead's number of steps, best first."""
    if outcome.lead is None:
        return ""
    steps = outcome.subjects[outcome.lead]["steps"]
    own = {outcome.lead: STUDENT} | {
        name: BASELINE for name, entry in outcome.baselines.items() if entry["steps"] == steps
    }
    known = {name: outcome.subjects[name]["metrics"].get(metric) for name in own}
    rows = [Row(name, found["value"], found["spread"], own[name]) for name, found in known.items() if found]
    rows += [
        Row(row.label, row.metrics[metric].mean, row.metrics[metric].std, RIVAL)
        for row in outcome.rivals
        if metric in row.metrics
    ]
    rows.sort(key=lambda row: CATALOGUE[metric].badness(row.value))
    return dot_chart(f"Ranking: {CATALOGUE[metric].label}", CATALOGUE[metric].label, rows, is_log=QUALITY[metric])


def subject_colour(outcome: Outcome, subject: str) -> int:
    """A subject has one colour in all charts; the reference that of the text."""
    shown = [name for name in outcome.subjects if name != outcome.reference]
    return shown.index(subject) % INK if subject in shown else INK


def _trajectory_chart(outcome: Outcome) -> str:
    names = [name for name in outcome.subjects if any(row["subject"] == name for row in outcome.curves)]
    series = []
    for name in names:
        rows = [row for row in outcome.curves if row["subject"] == name]
        points = [(1 - float(row["sigma"]), float(row["trajectory_error"])) for row in rows]
        series.append(Series(name, points, subject_colour(outcome, name)))
    return line_chart("Error along the trajectory", "1 − σ: from noise to clip", "trajectory error", series)


def _stage_chart(outcome: Outcome, key: str, title: str, label: str) -> str:
    def series(when: str, colour: int) -> Series:
        facts = [(name, manifest.facts) for name, manifest in outcome.students.items()]
        known = [(name, fact.horizon, getattr(getattr(fact, when), key)) for name, fact in facts]
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
        series.append(Series(name, points, subject_colour(outcome, name), has_dots=False))
    return line_chart("Training loss", "iteration of the stage", "loss", series, log_y=True)
