"""The report's table on the terminal: as wide as it is."""

import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from gpd.evaluation.metrics import METRICS
from gpd.report.outcome import Outcome
from gpd.report.tables import ARROWS, HEADLINES, Cell, columns, make_scores

COUNTS = "steps", "forwards"
WIDTH_OF_FILES = 100  # columns if the output is no terminal
GAP = 2  # columns between two


def print_table(outcome: Outcome, *, has_all: bool = False) -> None:
    """Students beside the teacher by headline metrics; with `has_all` every metric a row, in parts that fit."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, highlight=False)
    tables = _all_metrics(outcome, console.width) if has_all else [_headlines(outcome)]
    for table in tables:
        console.print(table, "")
    for name, signs in outcome.collapsed.items():
        console.print(f"collapsed: {name}: {'; '.join(signs)}; it is not promoted", soft_wrap=True)


def _headlines(outcome: Outcome) -> Table:
    names = columns(outcome)
    scores = {metric: cells for metric, cells in make_scores(outcome, names).items() if metric in HEADLINES}
    grid = _grid("Students and teacher, best in as many steps bold (--all: more)")
    for label in (*COUNTS, *(f"{HEADLINES[metric]}\n{_arrow(metric)}" for metric in HEADLINES if metric in scores)):
        grid.add_column(label, justify="right", no_wrap=True)
    for place, name in enumerate(names):
        cells = [_text(scores[metric][place]) for metric in HEADLINES if metric in scores]
        grid.add_row(_label(outcome, name), *_counts(outcome, name), *cells)
    return grid


def _all_metrics(outcome: Outcome, width: int) -> Iterator[Table]:
    """Metrics by subjects, as many subjects side by side as there is room for."""
    shown = columns(outcome)
    scores, places = make_scores(outcome, shown), {name: place for place, name in enumerate(shown)}
    labels = {metric: f"{METRICS[metric].label} {_arrow(metric)}" for metric in scores}
    for names in fit(list(places), width - max(map(len, labels.values()), default=0)):
        grid = _grid("All metrics, best in as many steps in bold")
        for name in names:
            grid.add_column(name, justify="right", no_wrap=True)
        for place, label in enumerate(COUNTS):
            grid.add_row(label, *(_counts(outcome, name)[place] for name in names))
        for metric, cells in scores.items():
            grid.add_row(labels[metric], *(_text(cells[places[name]]) for name in names))
        yield grid


def _label(outcome: Outcome, name: str) -> str:
    return f"floor: {name}" if name in outcome.floors else name


def _counts(outcome: Outcome, name: str) -> tuple[str, str]:
    """Of a subject, in the order of COUNTS; empty for a floor."""
    subject = outcome.subjects.get(name)
    return ("", "") if subject is None else (str(subject.steps), str(subject.forwards))


def fit(names: list[str], width: int) -> list[list[str]]:
    """The names in groups whose columns stand side by side in `width` letters; one alone may be wider."""
    groups: list[list[str]] = []
    left = 0
    for name in names:
        needed = max(len(name), 7) + GAP  # 7: of a figure such as 3.4e-05
        if not groups or needed > left:
            groups.append([])
            left = width
        groups[-1].append(name)
        left -= needed
    return groups


def _grid(title: str) -> Table:
    grid = Table(title=title, box=None, pad_edge=False, padding=(0, GAP, 0, 0), title_justify="left")
    grid.add_column("", overflow="fold")
    return grid


def _arrow(metric: str) -> str:
    return ARROWS[METRICS[metric].direction].replace("\u00a0", "")


def _text(cell: Cell) -> str:
    return f"[bold]{cell.figure}[/bold]" if cell.is_best else cell.figure.replace("–", "-")
