"""DVC stage `report`: one self-contained HTML page, and the table of students beside the teacher on the terminal."""

from pathlib import Path
from typing import Any

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.commands.outcome import Clip, Outcome, load_outcome
from gpd.commands.report_charts import make_charts
from gpd.metrics.catalogue import CATALOGUE
from gpd.page.html import document, element, escape, paragraph, section, table, video
from gpd.params import Params

OUTPUT = Path("data/report")
ARROWS = {"lower": "↓", "higher": "↑", "one": "→\u00a01"}
HEADLINE = ("trajectory_error", "frechet_latent", "motion_top_ratio", "spectral_space_ratio")
TERMINAL = {
    "trajectory_error": "error",
    "frechet_latent": "Fréchet",
    "motion_top_ratio": "motion",
    "spectral_space_ratio": "detail",
    "agreement_colour": "colour",
    "agreement_shape": "shape",
}
ROLES = ("teacher", "previous", "student", "probe")


def run(params: Params) -> None:
    """Writes data/report/report.html and prints the table.

    Raises:
        UserError: an evaluation or a student is missing.
    """
    settings = params.report.model_dump()
    with artifacts.recording_run("report", settings) as record:
        outcome = load_outcome(params)
        with artifacts.replacing(OUTPUT) as folder:
            artifacts.write_text(folder / "report.html", make_page(params, outcome))
            manifest = artifacts.write_manifest(
                folder,
                kind="report",
                inputs=outcome.inputs,
                params=settings,
                facts={"protocol": outcome.protocol["hash"], "subjects": list(outcome.subjects)},
            )
        record["outputs"].append({"path": str(OUTPUT), "kind": "report", "content": manifest["content"]})
    print_table(outcome)
    print(f"report: {(OUTPUT / 'report.html').resolve()}")


def show(params: Params) -> None:
    """Prints the table and the path of the page that `run` wrote."""
    page = OUTPUT / "report.html"
    if not page.is_file():
        raise UserError(f"{page}: no such file; `dvc repro` writes it")
    print_table(load_outcome(params))
    print(f"report: {page.resolve()}")


def make_page(params: Params, outcome: Outcome) -> str:
    """The whole page as HTML."""
    return document(
        params.report.title,
        element("h1", escape(params.report.title)),
        make_lead(outcome),
        make_clips(outcome, params.report.num_clips),
        make_lead_table(outcome),
        section("Curves", element("div", *make_charts(outcome), class_="charts")),
        make_table(outcome),
        make_ledger(outcome),
        make_protocol_text(outcome),
        make_glossary(outcome),
    )


def make_lead(outcome: Outcome) -> str:
    """What was distilled into what, and the headline figures beside rival and reference."""
    lead, rival = outcome.lead, outcome.rival
    if lead is None:
        return paragraph("No student has been evaluated yet.", "lead")
    forwards, whole = (outcome.subjects[name]["forwards"] for name in (lead, outcome.reference))
    tiles = [_tile(f"{forwards} instead of {whole}", "forwards for one clip")]
    for metric in HEADLINE:
        value = outcome.value(lead, metric)
        if value is not None:
            other = None if rival is None else outcome.value(rival, metric)
            beside = [] if other is None else [f"{rival}: {_figure(metric, other)}"]
            label = f"{CATALOGUE[metric].label} {ARROWS[CATALOGUE[metric].direction]}"
            tiles.append(_tile(_figure(metric, value), label, *beside))
    return (
        paragraph(_lead_sentence(outcome, lead, rival), "lead")
        + element("ul", *tiles, class_="tiles")
        + paragraph("Arrows say which way is better; → 1 means the nearer to 1, the better.", "soft")
    )


def _lead_sentence(outcome: Outcome, lead: str, rival: str | None) -> str:
    student, reference = outcome.subjects[lead], outcome.subjects[outcome.reference]
    text = (
        f"The teacher takes {reference['steps']} guided steps, {reference['forwards']} forwards, for one clip. "
        f"The student {lead} was distilled from it and takes {student['steps']} steps without guidance, "
        f"{student['forwards']} forwards."
    )
    if rival is None:
        return text
    compared = [name for name in outcome.metrics if outcome.best(name, [lead, rival])]
    wins = sum(outcome.best(name, [lead, rival]) == {lead} for name in compared)
    return (
        f"{text} Beside the undistilled teacher with {outcome.subjects[rival]['steps']} steps "
        f"({rival}, {outcome.subjects[rival]['forwards']} forwards) it is ahead in {wins} of {len(compared)} metrics."
    )


def _tile(figure: str, *lines: str) -> str:
    return element("li", element("b", escape(figure)), *(element("span", escape(line)) for line in lines))


def _figure(metric: str, value: float) -> str:
    decimals = CATALOGUE[metric].decimals
    return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-decimals else f"{value:.{decimals}f}"


def make_clips(outcome: Outcome, num_prompts: int) -> str:
    """Reference, rival and lead side by side on the same prompts and noise."""
    names = _line_up(outcome)
    found = {(clip.subject, clip.prompt, clip.seed): clip for clip in outcome.clips}
    cards = []
    shown = [clip for clip in outcome.clips if clip.subject == outcome.reference]
    number = min(num_prompts, len(shown))
    for first in [shown[position * len(shown) // number] for position in range(number)]:
        players = [_player(outcome, name, found.get((name, first.prompt, first.seed))) for name in names]
        cards.append(element("div", element("h3", escape(f"“{first.prompt}”")), element("div", *players, class_="row")))
    words = "Each row starts from the same noise. The clips run in step; a click stops and starts them."
    return (
        section("Clips side by side", paragraph(words, "soft"), element("div", *cards, class_="clips")) if cards else ""
    )


def _line_up(outcome: Outcome) -> list[str]:
    """Reference, rival, lead: those that there are."""
    return [name for name in (outcome.reference, outcome.rival, outcome.lead) if name is not None]


def _player(outcome: Outcome, name: str, clip: Clip | None) -> str:
    player = "" if clip is None else video(clip.path, f"{name}: {clip.prompt}")
    words = f"{outcome.subjects[name]['forwards']} forwards"
    return element("div", player, element("strong", escape(name)), element("small", words))


def make_lead_table(outcome: Outcome) -> str:
    """The lead beside its rival and the reference."""
    names = _line_up(outcome)[::-1]
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
    figure = _figure(metric, found["value"])
    spread = "" if found["spread"] is None else element("small", f" ± {_figure(metric, found['spread'])}")
    return (element("mark", figure) if is_best else figure) + spread


def make_ledger(outcome: Outcome) -> str:
    """Forwards that training spent, by stage and role; a backward counts as two."""
    rows, total = [], 0
    for name, manifest in outcome.students.items():
        spent = manifest["facts"]["forwards"]
        total += sum(spent.values())
        counts = [f"{spent.get(role, 0):,}" for role in ROLES]
        rows.append([escape(name), f"{manifest['facts']['samples_seen']:,}", *counts, f"{total:,}"])
    head = ["Stage", "samples seen", *ROLES, "all so far"]
    words = (
        "One forward is one evaluation of the network for one sample. The student's count its backward as two more; "
        "the probe's were spent on measuring residuals before and after."
    )
    return section("What training cost", paragraph(words, "soft"), table(head, rows))


def make_protocol_text(outcome: Outcome) -> str:
    """How the figures came about, in plain words."""
    protocol = outcome.protocol
    seeds = ", ".join(map(str, protocol["seeds"]))
    words = (
        f"Every subject sampled {protocol['num_prompts']} held-out prompts from the same noise (seeds: {seeds}) as the "
        f"reference: the teacher with {protocol['grid_steps']} Euler steps at guidance "
        f"{protocol['reference_guidance_scale']:g}. Clips have {protocol['num_frames']} frames of "
        f"{protocol['width']} × {protocol['height']} pixels; noise levels are shifted by {protocol['shift']:g}. "
        "No learned network judges: all metrics are computed from latents and pixels."
    )
    names = {"hash": "Protocol", "prompts": "Prompts", "teacher": "Teacher"}
    facts = "".join(element("dt", label) + element("dd", escape(protocol[key])) for key, label in names.items())
    return section("Protocol", paragraph(words), element("dl", facts))


def make_glossary(outcome: Outcome) -> str:
    """What each metric says."""
    entries = [CATALOGUE[name] for name in outcome.metrics]
    items = [
        element("dt", escape(f"{entry.label} {ARROWS[entry.direction]}"))
        + element("dd", escape(f"{entry.meaning} Cost: {entry.cost}."))
        for entry in entries
    ]
    return section("What the metrics say", element("dl", *items))


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
    figure = _figure(metric, value)
    return f"[bold]{figure}[/bold]" if subject in outcome.best(metric, rivals) else figure
