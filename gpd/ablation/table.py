"""What an ablation found: results.json, a table, curves and a page in data/ablation/."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from gpd import artifacts
from gpd.ablation.grid import AblationGrid, Run
from gpd.ablation.runs import load_floors, result_file
from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.pages.chart import Series, line_chart
from gpd.pages.html import document, element, escape, paragraph, section, table

OUTPUT = Path("data/ablation")
SHOWN = {
    "trajectory_error": "error",
    "frechet_latent": "Fréchet",
    "agreement": "caption",
    "motion_top_ratio": "motion",
    "spectral_space_ratio": "detail, space",
    "spectral_time_ratio": "detail, time",
    "diversity_ratio": "diversity",
}
CURVES = ("trajectory_error", "frechet_latent")

Row = dict[str, Any]


def collect(grid: AblationGrid, runs: list[Run], base: Path) -> list[Row]:
    """One row for each variant and budget that has at least one finished run, in the grid's order."""
    found: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for run in runs:
        path = result_file(run, base)
        if path.exists():
            found[run.variant, run.budget].append(json.loads(path.read_text(encoding="utf-8")))
    return [_row(grid, variant, budget, results) for (variant, budget), results in found.items()]


def _row(grid: AblationGrid, name: str, budget: int, results: list[Row]) -> Row:
    variant = grid.variants[name]
    values = [with_agreement(result["metrics"]) for result in results]
    return {
        "variant": name,
        "group": variant.group,
        "label": variant.label,
        "budget": budget,
        "num_seeds": len(results),
        "sampling_forwards": results[0]["sampling_forwards"],
        "training_forwards": round(float(np.mean([result["training_forwards"] for result in results]))),
        "protocol": results[0]["protocol"],
        "metrics": {metric: spread([value[metric] for value in values]) for metric in values[0]},
    }


def with_agreement(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics, and the mean of the caption's properties as one figure where they were read."""
    read = [value for name, value in metrics.items() if name.startswith("agreement_")]
    return metrics | ({"agreement": sum(read) / len(read)} if read else {})


def spread(values: list[float]) -> dict[str, float | None]:
    """Mean and sample standard deviation over seeds, six digits; none of a single seed."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    rounded = None if deviation is None else float(f"{deviation:.6g}")
    return {"mean": float(f"{np.mean(values):.6g}"), "std": rounded}


def write_outcome(grid: AblationGrid, rows: list[Row], base: Path) -> None:
    """results.json for the report and for people's own plots, table.md for reading in git, ablation.html."""
    floors = load_floors(base)
    protocol = floors["protocol"]["hash"]
    shown = _floor_rows(floors)
    artifacts.write_json(
        OUTPUT / "results.json", {"format": 1, "protocol": protocol, "seeds": grid.seeds, "rows": rows, "floors": shown}
    )
    artifacts.write_text(OUTPUT / "table.md", make_markdown(rows, shown))
    artifacts.write_text(OUTPUT / "ablation.html", make_page(grid, rows, shown))


def _floor_rows(floors: dict[str, Any]) -> list[Row]:
    """The undistilled teacher, less the reference itself, which has no distance to itself."""
    return [
        {
            "label": name,
            "sampling_forwards": subject["forwards"],
            "metrics": {
                key: {"mean": value, "std": None}
                for key, value in with_agreement({k: v["value"] for k, v in subject["metrics"].items()}).items()
            },
        }
        for name, subject in floors["subjects"].items()
        if "trajectory_error" in subject["metrics"]
    ]


def figure(entry: dict[str, float | None] | None) -> str:
    """`.207 ± .003`, or a dash."""
    if entry is None or entry["mean"] is None:
        return "–"
    spread = "" if entry["std"] is None else f" ± {entry['std']:.3f}"
    return f"{entry['mean']:.3f}{spread}"


def _cells(row: Row) -> list[str]:
    training = f"{row['training_forwards']:,}" if "training_forwards" in row else "0"
    return [
        str(row["sampling_forwards"]),
        training,
        *(figure(row["metrics"].get(metric)) for metric in SHOWN),
    ]


CROSSING_HEAD = ["training forwards until", "as good as", *(SHOWN[metric] for metric in CURVES)]
HEAD = ["forwards a clip", "training forwards", *SHOWN.values()]


def make_markdown(rows: list[Row], floors: list[Row]) -> str:
    """One table a group, floors first."""
    parts = ["# Ablation on the miniature\n", _words(rows)]
    for title, some in _groups(rows, floors):
        lines = [f"| {title} | seeds | {' | '.join(HEAD)} |", "| --- " + "| ---: " * (len(HEAD) + 1) + "|"]
        lines += [f"| {row['label']} | {row.get('num_seeds', 1)} | {' | '.join(_cells(row))} |" for row in some]
        parts.append("\n".join(lines) + "\n")
    if crossed := crossings(rows, floors):
        lines = [f"| {' | '.join(CROSSING_HEAD)} |", "| --- | --- | ---: | ---: |"]
        parts.append("\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in crossed)]) + "\n")
    return "\n".join(parts)


def _words(rows: list[Row]) -> str:
    seeds = sorted({row["num_seeds"] for row in rows}) or [0]
    return (
        "Means and standard deviations over training seeds "
        f"({seeds[0]}{f' to {seeds[-1]}' if len(seeds) > 1 else ''} of them) of students in 6 steps, on the same "
        "held-out prompts and noise, against the guided 48-step teacher. Runs of a table spend about the same training "
        "forwards, but for those over a budget; a backward counts as two. `gpd ablate` makes this page from "
        "`data/ablation/grid.yaml`.\n"
    )


def _groups(rows: list[Row], floors: list[Row]) -> list[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {"the undistilled teacher": floors}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return list(groups.items())


def crossing(curve: list[tuple[float, float]], floor: float) -> float | None:
    """Training forwards at which a curve of (forwards, value) falls to `floor`, between its points along log(forwards).

    None where it has not fallen so far by its last point; its first point where it begins below.
    """
    (x0, y0), *rest = curve
    if y0 <= floor:
        return x0
    for x1, y1 in rest:
        if y1 <= floor:
            return float(x0 * (x1 / x0) ** ((y0 - floor) / (y0 - y1)))
        x0, y0 = x1, y1
    return None


def crossings(rows: list[Row], floors: list[Row]) -> list[list[str]]:
    """For each curve and floor above which it begins: label, floor, and where each metric of CURVES falls to it."""
    found = [
        [label, floor["label"], *(_crossing(some, floor, metric) for metric in CURVES)]
        for label, some in _curves(rows).items()
        for floor in floors
    ]
    return [cells for cells in found if not all(cell.startswith("by ") for cell in cells[2:])]  # never above


def _crossing(some: list[Row], floor: Row, metric: str) -> str:
    curve = _points(some, metric)
    found = crossing(curve, floor["metrics"][metric]["mean"])
    if found is None:
        return f"not by {curve[-1][0]:,}"
    return f"by {curve[0][0]:,}" if found == curve[0][0] else f"{float(f'{found:.2g}'):,.0f}"


def make_page(grid: AblationGrid, rows: list[Row], floors: list[Row]) -> str:
    """Tables and curves on one self-contained page."""
    title = "Ablation on the miniature"
    tables = [
        section(
            name.capitalize(),
            table(
                [name, "seeds", *HEAD],
                [[escape(row["label"]), str(row.get("num_seeds", 1)), *_cells(row)] for row in some],
            ),
        )
        for name, some in _groups(rows, floors)
        if some
    ]
    charts = [_curve(metric, rows, floors) for metric in CURVES]
    return document(
        title,
        element("h1", title),
        paragraph(_words(rows).replace("`", ""), "lead"),
        section(
            "Quality over training forwards",
            element("div", *charts, class_="charts"),
            table(CROSSING_HEAD, [[escape(label), *cells] for label, *cells in crossings(rows, floors)]),
        ),
        *tables,
    )


def _curve(metric: str, rows: list[Row], floors: list[Row]) -> str:
    """Curves over what their training cost; the floors that they have to cross as level lines."""
    curves = {label: _points(some, metric) for label, some in _curves(rows).items()}
    every = [point for points in curves.values() for point in points]
    if not every:
        return ""
    series = [Series(label, points, colour) for colour, (label, points) in enumerate(curves.items())]
    (first, _), (last, _) = min(every), max(every)
    crossed = [floor for floor in floors if floor["metrics"][metric]["mean"] < max(value for _, value in every)]
    series += [
        Series(
            f"{floor['label']}, {floor['sampling_forwards']} forwards a clip",
            [(first, floor["metrics"][metric]["mean"]), (last, floor["metrics"][metric]["mean"])],
            len(curves) + place,
        )
        for place, floor in enumerate(crossed)
    ]
    label = CATALOGUE[metric].label
    return line_chart(f"{label} over training", "training forwards", label, series, log_x=True, log_y=True)


def _curves(rows: list[Row]) -> dict[str, list[Row]]:
    """Label -> rows, where there are several budgets."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["label"]].append(row)
    return {label: some for label, some in found.items() if len(some) > 1}


def _points(some: list[Row], metric: str) -> list[tuple[float, float]]:
    return sorted((row["training_forwards"], row["metrics"][metric]["mean"]) for row in some)


def print_rows(rows: list[Row]) -> None:
    """The table on the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(title="Ablation: mean ± deviation over seeds", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "seeds", "training", *SHOWN.values()):
        grid.add_column(name, no_wrap=True, justify="left" if not name else "right")
    for row in rows:
        cells = [figure(row["metrics"].get(metric)) for metric in SHOWN]
        grid.add_row(row["variant"], str(row["num_seeds"]), f"{row['training_forwards']:,}", *cells)
    Console(width=max(150, Console().width)).print(grid)
