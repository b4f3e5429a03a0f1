"""Every measured figure on a page of docs/ is that of a data file under git.

docs/figures/measured.json    sentences of the pages with places for figures, and the figures: values with the command,
                              machine and commit that gave them, or FILE#KEY/KEY where another data file has them
docs/figures/structural.json  page -> phrases whose numbers nobody measured, and what they are instead
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gpd.evaluation.metrics import METRICS
from gpd.report.tables import figure_text

ROOT = Path(__file__).parents[1]
SOURCE = {"command", "machine", "commit"}
SCANNED = sorted({path.name for path in (ROOT / "docs").glob("*.md")} - {"licences.md"})  # which a script makes
GENERATED = re.compile(r"<!-- table .*?<!-- end -->", re.S)  # tests/test_figures.py makes these tables anew
LOOKS_MEASURED = re.compile(
    r"(?<![\w.:/-])(?:\d[\d,]*)?\.\d+|(?<![\w.])\d[\d,.]*\s?(?:[smh]|ms|µs|min|dB|%|[KMGT]i?B)(?!\w)"
)
NO_FIGURES = re.compile(r"`[^`]*`|\]\([^)]*\)|arXiv:? \d+\.\d+|https?://\S+|Wan2\.\d|\b\d+\.\dB\b")
SKIPPED = ("    ", "| `wan2.1-")  # what is code, and the plans of profiles: tests/planning/test_plan.py makes them anew

Entry = dict[str, Any]


def load(name: str) -> Any:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


ENTRIES: list[Entry] = load("docs/figures/measured.json")
STRUCTURAL: dict[str, dict[str, str]] = load("docs/figures/structural.json")


class Figure(float):
    """A number as the pages write it: no zero before the point, a space before the per cent sign."""

    def __format__(self, form: str) -> str:
        text = format(int(self) if form in ("d", ",") else float(self), form)
        return re.sub(r"^0\.|e-0", lambda found: found[0].replace("0", ""), text).replace("%", " %")


def look_up(figure: float | str | list[str]) -> Figure:
    """A value, that of FILE#KEY/KEY (~ is a / in a key), or a quotient of two; an ablation row is VARIANT@BUDGET."""
    if isinstance(figure, list):
        above, below = map(look_up, figure)
        return Figure(above / below)
    if not isinstance(figure, str):
        return Figure(figure)
    name, _, keys = figure.partition("#")
    found = load(name)
    for key in keys.split("/"):
        is_rows = isinstance(found, list)
        found = (
            next(row for row in found if f"{row['variant']}@{row['budget']}" == key)
            if is_rows
            else found[key.replace("~", "/")]
        )
    return Figure(found)


def sentence(entry: Entry) -> str:
    return words(entry["text"].format(**{name: look_up(figure) for name, figure in entry["figures"].items()}))


def words(text: str) -> str:
    """The text in one line, with one space between words."""
    return " ".join(text.split())


def page(name: str) -> str:
    return words((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["text"][:40])
def test_a_sentence_has_the_figures_of_its_data_file(entry: Entry) -> None:
    assert page(entry["page"]).count(sentence(entry)) == 1, sentence(entry)
    if any(isinstance(figure, int | float) for figure in entry["figures"].values()):
        assert set(entry) >= SOURCE


@pytest.mark.parametrize("name", SCANNED)
def test_no_other_figure_looks_measured(name: str) -> None:
    """Fails on a figure that was typed in: give it a data file, or say in structural.json what it is."""
    text = GENERATED.sub("", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    left = words("\n".join(line for line in text.splitlines() if not line.startswith(SKIPPED)))
    checked = [sentence(entry) for entry in ENTRIES if entry["page"] == f"docs/{name}"]
    for known in [*checked, *map(floor_row, METRICS)]:
        left = left.replace(known, "")
    for phrase in STRUCTURAL.get(f"docs/{name}", {}):
        assert words(phrase) in left, f"structural.json: {name} no longer has {phrase!r}"
        left = left.replace(words(phrase), "")
    left = NO_FIGURES.sub("", left)
    assert [left[max(0, found.start() - 60) : found.end() + 20] for found in LOOKS_MEASURED.finditer(left)] == []


def floor_row(name: str) -> str:
    """A metric's row in docs/method.md: `python -c "from tests import test_measured as t; t.print_floors()"`."""
    metric, scores = METRICS[name], load("data/evaluations/floors.json")["scores"]
    cells = [figure_text(name, scores[floor][name]["value"]) if name in scores[floor] else "–" for floor in scores]
    return f"| {metric.label} | {' | '.join(cells)} |"


def print_floors() -> None:
    print("\n".join(floor_row(name) for name in METRICS))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_its_floors_beside_it(name: str) -> None:
    assert (ROOT / "docs/method.md").read_text(encoding="utf-8").count(floor_row(name) + "\n") == 1


def test_a_typed_figure_looks_measured() -> None:
    assert [
        found[0] for found in LOOKS_MEASURED.finditer("took 3 min, .215 and 12 GB, 99.6 %; 48 steps, k8, x 64")
    ] == [
        "3 min",
        ".215",
        "12 GB",
        "99.6",
    ]


def test_figures_are_written_as_on_the_pages() -> None:
    assert (
        f"{Figure(0.2154):.3f} {Figure(0.9961):.1%} {Figure(34560):,} {Figure(2.6e-6):.1e}"
        == ".215 99.6 % 34,560 2.6e-6"
    )
