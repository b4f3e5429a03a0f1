"""DVC stage `report`: one self-contained HTML page, and the table of students beside the teacher on the terminal."""

from pathlib import Path

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import ReportFacts
from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.pages.html import document, element, escape, paragraph, section
from gpd.params import Params
from gpd.report.charts import make_cost_charts, make_training_charts
from gpd.report.clips import make_clips
from gpd.report.outcome import Outcome, load_outcome
from gpd.report.profiles import make_profile_charts
from gpd.report.tables import (
    ARROWS,
    figure_text,
    make_lead_table,
    make_ledger,
    make_rivals_table,
    make_table,
    print_table,
)
from gpd.report.words import make_glossary, make_protocol_text, make_published

OUTPUT = Path("data/report")
HEADLINE = ("trajectory_error", "frechet_latent", "motion_top_ratio", "spectral_space_ratio")


def run(params: Params) -> None:
    """Writes data/report/report.html and prints the table.

    Raises:
        UserError: an evaluation or a student is missing.
    """
    settings = params.report.model_dump()
    with documents.recording_run("report", settings) as record:
        outcome = load_outcome(params)
        with artifacts.replacing(OUTPUT) as folder:
            artifacts.write_text(folder / "report.html", make_page(params, outcome))
            facts = ReportFacts(
                protocol=outcome.protocol["hash"],
                subjects=list(outcome.subjects),
                rivals=[row.variant for row in outcome.rivals],
            )
            manifest = documents.write_manifest(folder, facts, inputs=outcome.inputs, params=settings)
        record.wrote(OUTPUT, manifest)
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
        _charts("Cost against quality", make_cost_charts(outcome)),
        make_rivals_table(outcome),
        _charts("Detail and motion", make_profile_charts(outcome)),
        make_table(outcome),
        _charts("Along the trajectory and through training", make_training_charts(outcome)),
        make_ledger(outcome),
        make_protocol_text(outcome),
        make_glossary(outcome),
        make_published(params, outcome),
    )


def _charts(title: str, charts: list[str]) -> str:
    return section(title, element("div", *charts, class_="charts")) if charts else ""


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
            beside = [] if other is None else [f"{rival}: {figure_text(metric, other)}"]
            label = f"{CATALOGUE[metric].label} {ARROWS[CATALOGUE[metric].direction]}"
            tiles.append(_tile(figure_text(metric, value), label, *beside))
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
