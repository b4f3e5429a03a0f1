"""The ablation's tables: what every form of them shows."""

from gpd.ablation.curves import CURVES
from gpd.ablation.results import AGREEMENT
from gpd.documents import AblationFloor, AblationResults, AblationRow, Spread
from gpd.evaluation.metrics import METRICS

SHOWN = {name: metric.column for name, metric in METRICS.items() if metric.column} | {AGREEMENT: "caption"}
HEAD = ["seeds", "forwards a clip", "training forwards", *SHOWN.values(), "commit"]
STALE = " †"
CROSSING_HEAD = [
    "training forwards until",
    "as good as",
    *(METRICS[metric].column or METRICS[metric].label for metric in CURVES),
]


def groups(results: AblationResults) -> dict[str, list[AblationRow] | list[AblationFloor]]:
    """Title -> the rows of one table: the floors, then each group of the grid in its order."""
    found: dict[str, list[AblationRow]] = {}
    for row in results.best_rows():
        found.setdefault(row.group, []).append(row)
    return {"the undistilled teacher": results.floors, **found}


def cells(row: AblationRow | AblationFloor) -> list[str]:
    """A row under HEAD; a floor was not trained."""
    seeds, training = (row.num_seeds, row.training_forwards) if isinstance(row, AblationRow) else (1, 0)
    commit = row.commit if isinstance(row, AblationRow) else None
    return [str(seeds), str(row.sampling_forwards), f"{training:,}", *figures(row), commit or "–"]


def label_of(row: AblationRow | AblationFloor) -> str:
    """Its words, with the learning rate if it is one of several, and a mark if it is stale."""
    if isinstance(row, AblationFloor):
        return row.label
    return row.label + (f", rate {row.learning_rate:g}" if row.is_swept else "") + (STALE if row.is_stale else "")


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
        f"({seeds[0]}{f' to {seeds[-1]}' if len(seeds) > 1 else ''} of them) of students, in 6 steps unless they say "
        "otherwise, on the same held-out prompts and noise, against the guided 48-step teacher. Runs of a table spend "
        "about the same training forwards, but for those over a budget; a backward counts as two. A row with a rate is "
        f"of several: the one with most seeds, else the nearest.{_stale_words(results)} `gpd ablate` makes this page "
        "from `data/ablation/grid.yaml`.\n"
    )


def _stale_words(results: AblationResults) -> str:
    """What the mark of stale rows means, if there are any."""
    if not any(row.is_stale for row in results.rows):
        return ""
    return f" Rows marked{STALE} were made by other code than the rest: compare them among themselves."


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
