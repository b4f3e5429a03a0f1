"""The report's tables: subjects by metrics, what training cost, rivals of the ablation, the terminal's summary."""

from typing import Any

from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.pages.html import element, escape, paragraph, section, table
from gpd.report.outcome import Outcome
from gpd.report.rivals import RESULTS, Rival

ARROWS = {"lower": "↓", "higher": "↑", "one": "→\u00a01"}
TERMINAL = {
    "trajectory_error": "error",
    "frechet_latent": "Fréchet",
    "motion_top_ratio": "motion",
    "spectral_space_ratio": "detail",
    "agreement_colour": "colour",
    "agreement_shape": "shape",
}
ROLES = ("teacher", "previous", "student", "probe")


def figure_text(metric: str, value: float) -> str:
    """A value at the metric's digits, or with its exponent where these would show nothing."""
    decimals = CATALOGUE[metric].decimals
    return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-decimals else f"{value:.{decimals}f}"


def make_lead_table(outcome: Outcome) -> str:
    """The lead beside its rival and the reference."""
    names = outcome.line_up[::-1]
    rivals = [name for name in names if name != outcome.reference]
    return section("The student beside its teacher", _table(outcome, names, rivals))


def make_table(outcome: Outcome) -> str:
    """All metrics of all subjects, the best of students and baselines marked."""
    rivals = [name for name in outcome.subjects if name != outcome.reference]
    words = (
        "Students from the last stage down, then the undistilled teacher. The best of each row is marked; "
        f"{outcome.reference}, the reference that the others are measured against, takes no part. "
        "± is the standard deviation over seeds, where there are several."
    )
    return section(
        "All students and baselines", paragraph(words, "soft"), _table(outcome, [*rivals, outcome.reference], rivals)
    )


def _table(outcome: Outcome, names: list[str], rivals: list[str]) -> str:
    head = ["Metric", *(_subject_head(outcome, name) for name in names)]
    return table(head, [[_metric_head(metric), *_cells(outcome, metric, names, rivals)] for metric in outcome.metrics])


def _subject_head(outcome: Outcome, name: str) -> str:
    entry = outcome.subjects[name]
    guidance = "no guidance" if entry["guidance_scale"] == 1.0 else f"guidance {entry['guidance_scale']:g}"
    words = f"{entry['steps']} steps", f"{entry['forwards']} forwards", entry["solver"], guidance
    return element("b", escape(name)) + "".join(element("small", escape(word)) for word in words)


def _metric_head(metric: str) -> str:
    entry = CATALOGUE[metric]
    arrow = element("small", ARROWS[entry.direction])
    return element("span", escape(entry.label), title=entry.meaning) + f"\u00a0{arrow}"


def _cells(outcome: Outcome, metric: str, names: list[str], rivals: list[str]) -> list[str]:
    best = outcome.best(metric, rivals)
    return [_cell(outcome.subjects[name]["metrics"].get(metric), metric, name in best) for name in names]


def _cell(found: dict[str, Any] | None, metric: str, is_best: bool) -> str:
    if found is None:
        return element("small", "–")
    figure = figure_text(metric, found["value"])
    return (element("mark", figure) if is_best else figure) + _spread(metric, found["spread"])


def _spread(metric: str, spread: float | None) -> str:
    """At the figure's own digits: what these do not show is no spread to speak of."""
    return "" if spread is None else element("small", f" ± {spread:.{CATALOGUE[metric].decimals}f}")


def make_rivals_table(outcome: Outcome) -> str:
    """Rivals of the ablation by their training cost; nothing where there are none."""
    if not outcome.rivals:
        return ""
    known = [name for name in CATALOGUE if any(name in row.metrics for row in outcome.rivals)]
    best = {metric: _best_rival(outcome.rivals, metric) for metric in known}
    rows = [
        [
            escape(row.label),
            *(f"{count:,}" for count in (row.sampling_forwards, row.training_forwards, row.num_seeds)),
            *(_rival_cell(row, metric, row.variant == best[metric]) for metric in known),
        ]
        for row in sorted(outcome.rivals, key=lambda row: (row.group, row.training_forwards))
    ]
    words = (
        "Other ways to a student in the same harness, under this page's protocol, and the default's way at as many "
        "forwards. "
        f"Mean ± standard deviation over training seeds; from {RESULTS}, made by gpd ablate."
    )
    head = ["Rival", "forwards a clip", "forwards of training", "seeds", *(_metric_head(metric) for metric in known)]
    return section("Rivals", paragraph(words, "soft"), table(head, rows))


def _best_rival(rivals: list[Rival], metric: str) -> str | None:
    """The variant that is best at the digits shown; None where two share the place."""
    decimals, badness = CATALOGUE[metric].decimals, CATALOGUE[metric].badness
    found = {row.variant: badness(round(row.metrics[metric].mean, decimals)) for row in rivals if metric in row.metrics}
    best = [variant for variant, value in found.items() if value <= min(found.values()) + 1e-12]
    return best[0] if len(best) == 1 else None


def _rival_cell(row: Rival, metric: str, is_best: bool) -> str:
    found = row.metrics.get(metric)
    return _cell(None if found is None else {"value": found.mean, "spread": found.std}, metric, is_best)


def make_ledger(outcome: Outcome) -> str:
    """Forwards that training spent, by stage and role; a backward counts as two."""
    rows = []
    for name, manifest in outcome.students.items():
        spent = manifest.facts.forwards
        counts = [f"{spent.get(role, 0):,}" for role in ROLES]
        total = f"{outcome.training_forwards[name]:,}"
        rows.append([escape(name), f"{manifest.facts.samples_seen:,}", *counts, total])
    head = ["Stage", "samples seen", *ROLES, "all so far"]
    words = (
        "One forward is one evaluation of the network for one sample. The student's count its backward as two more; "
        "the probe's were spent on measuring residuals before and after."
    )
    return section("What training cost", paragraph(words, "soft"), table(head, rows))


def print_table(outcome: Outcome) -> None:
    """Students beside the teacher, at least 100 columns wide: a log keeps whole words too."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = [name for name in TERMINAL if name in outcome.metrics]
    rivals = [name for name in outcome.subjects if name != outcome.reference]
    grid = Table(title="Students beside the teacher, best of each column in bold", box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("", no_wrap=True)
    for label in ("forwards", *(f"{TERMINAL[name]} {_arrow(name)}" for name in shown)):
        grid.add_column(label, justify="right", no_wrap=True)
    for subject, entry in outcome.subjects.items():
        cells = [_plain_cell(outcome, subject, metric, rivals) for metric in shown]
        grid.add_row(subject, str(entry["forwards"]), *cells)
    Console(width=max(100, Console().width)).print(grid)


def _arrow(metric: str) -> str:
    return ARROWS[CATALOGUE[metric].direction].replace("\u00a0", "")


def _plain_cell(outcome: Outcome, subject: str, metric: str, rivals: list[str]) -> str:
    value = outcome.value(subject, metric)
    if value is None:
        return "-"
    figure = figure_text(metric, value)
    return f"[bold]{figure}[/bold]" if subject in outcome.best(metric, rivals) else figure
