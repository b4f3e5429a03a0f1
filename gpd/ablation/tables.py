"""The ablation's tables: what every form of them shows, and table.md for reading in git."""

from gpd.ablation.curves import CURVES, crossings
from gpd.ablation.results import AGREEMENT
from gpd.documents import AblationFloor, AblationResults, AblationRow, Spread
from gpd.evaluation.metrics import METRICS

SHOWN = {name: metric.column for name, metric in METRICS.items() if metric.column} | {AGREEMENT: "caption"}
HEAD = ["seeds", "forwards a clip", "training forwards", *SHOWN.values()]
CROSSING_HEAD = [
    "training forwards until",
    "as good as",
    *(METRICS[metric].column or METRICS[metric].label for metric in CURVES),
]


def groups(results: AblationResults) -> dict[str, list[AblationRow] | list[AblationFloor]]:
    """Title -> the rows of one table: the floors, then each group of the grid in its order."""
    found: dict[str, list[AblationRow]] = {}
    for row in results.rows:
        found.setdefault(row.group, []).append(row)
    return {"the undistilled teacher": results.floors, **found}


def cells(row: AblationRow | AblationFloor) -> list[str]:
    """A row under HEAD; a floor was not trained."""
    seeds, training = (row.num_seeds, row.training_forwards) if isinstance(row, AblationRow) else (1, 0)
    return [str(seeds), str(row.sampling_forwards), f"{training:,}", *figures(row)]


def figures(row: AblationRow | AblationFloor) -> list[str]:
    """The shown metrics."""
    return [figure(row.metrics.get(metric)) for metric in SHOWN]


def figure(entry: Spread | None) -> str:
    """`.207 ± .003`, or a dash."""
    if entry is None:
        return "–"
    return f"{entry.mean:.3f}" + ("" if entry.std is None else f" ± {entry.std:.3f}")


def words(results: AblationResults) -> str:
    """What the tables show."""
    seeds = sorted({row.num_seeds for row in results.rows}) or [0]
    return (
        "Means and standard deviations over training seeds "
        f"({seeds[0]}{f' to {seeds[-1]}' if len(seeds) > 1 else ''} of them) of students in 6 steps, on the same "
        "held-out prompts and noise, against the guided 48-step teacher. Runs of a table spend about the same training "
        "forwards, but for those over a budget; a backward counts as two. `gpd ablate` makes this page from "
        "`data/ablation/grid.yaml`.\n"
    )


def make_markdown(results: AblationResults) -> str:
    """One table a group, floors first; then where curves cross the floors."""
    tables = [
        _table([title, *HEAD], ["---", *["---:"] * len(HEAD)], [[row.label, *cells(row)] for row in some])
        for title, some in groups(results).items()
    ]
    if crossed := crossings(results):
        tables.append(_table(CROSSING_HEAD, ["---", "---", "---:", "---:"], crossed))
    return "\n".join(["# Ablation on the miniature\n", words(results), *tables])


def _table(head: list[str], rule: list[str], rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *rows])


def print_rows(rows: list[AblationRow]) -> None:
    """The table on the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(title="Ablation: mean ± deviation over seeds", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "seeds", "training", *SHOWN.values()):
        grid.add_column(name, no_wrap=True, justify="left" if not name else "right")
    for row in rows:
        grid.add_row(row.variant, str(row.num_seeds), f"{row.training_forwards:,}", *figures(row))
    Console(width=max(150, Console().width)).print(grid)
