"""DVC stage `report`: one self-contained HTML page, and the table of students beside the teacher on the terminal."""

from pathlib import Path

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import ReportFacts
from gpd.params import Params
from gpd.report.curves import write_curves
from gpd.report.outcome import load_outcome
from gpd.report.page import make_page
from gpd.report.terminal import print_table
from gpd.stages import settings_of

OUTPUT = Path("data/report")
PAGE = OUTPUT / "report.html"


def run(params: Params) -> None:
    """Writes the page and the curves into data/report/ and prints the table.

    Raises:
        UserError: an evaluation or a student is missing.
    """
    settings = settings_of("report", params.model_dump())
    with documents.recording_run("report", settings) as record:
        outcome = load_outcome(params)
        facts = ReportFacts(
            protocol=outcome.protocol.hash,
            subjects=list(outcome.subjects),
            rivals=[row.variant for row in outcome.rivals],
        )
        with artifacts.replacing(OUTPUT) as folder:
            artifacts.write_text(folder / PAGE.name, make_page(params, outcome))
            write_curves(folder, outcome)
            manifest = documents.write_manifest(folder, facts, inputs=outcome.inputs, params=settings)
        record.wrote(OUTPUT, manifest)
    print_table(outcome)
    print(f"report: {PAGE.resolve()}")


def show(params: Params, *, has_all: bool = False) -> None:
    """Prints the table, with headline or all metrics, and the path of the page that `run` wrote."""
    if not PAGE.is_file():
        raise UserError(f"{PAGE}: no such file; `dvc repro` writes it")
    print_table(load_outcome(params), has_all=has_all)
    print(f"report: {PAGE.resolve()}")
