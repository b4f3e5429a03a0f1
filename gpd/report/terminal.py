"""The report's table on the terminal."""

from rich import box
from rich.console import Console
from rich.table import Table

from gpd.evaluation.metrics import METRICS
from gpd.report.outcome import Outcome
from gpd.report.tables import ARROWS, Cell, make_scores

SHOWN = {name: metric.headline for name, metric in METRICS.items() if metric.headline}


def print_table(outcome: Outcome) -> None:
    """Students beside the teacher, at least 100 columns wide: a log keeps whole words too."""
    names = list(outcome.subjects)
    scores = {metric: cells for metric, cells in make_scores(outcome, names).items() if metric in SHOWN}
    grid = Table(title="Students beside the teacher, best of each column in bold", box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("", no_wrap=True)
    for label in ("forwards", *(f"{SHOWN[name]} {_arrow(name)}" for name in SHOWN if name in scores)):
        grid.add_column(label, justify="right", no_wrap=True)
    for place, name in enumerate(names):
        cells = [_text(scores[metric][place]) for metric in SHOWN if metric in scores]
        grid.add_row(name, str(outcome.subjects[name].forwards), *cells)
    console = Console(width=max(100, Console().width))
    console.print(grid)
    for name, signs in outcome.collapsed.items():
        console.print(f"collapsed: {name}: {'; '.join(signs)}; it is not promoted", soft_wrap=True, highlight=False)


def _arrow(metric: str) -> str:
    return ARROWS[METRICS[metric].direction].replace("\u00a0", "")


def _text(cell: Cell) -> str:
    return f"[bold]{cell.figure}[/bold]" if cell.is_best else cell.figure.replace("–", "-")
