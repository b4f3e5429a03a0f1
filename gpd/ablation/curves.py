"""Quality over training forwards, for variants that ran at several budgets; where it gets as good as the teacher."""

from collections import defaultdict

from gpd.documents import AblationFloor, AblationResults, AblationRow
from gpd.evaluation.metrics import METRICS

CURVES = [name for name, metric in METRICS.items() if metric.axis]


def curves(rows: list[AblationRow]) -> dict[str, list[AblationRow]]:
    """Label -> rows, of the labels that have several."""
    found: dict[str, list[AblationRow]] = defaultdict(list)
    for row in rows:
        found[row.label].append(row)
    return {label: some for label, some in found.items() if len(some) > 1}


def points(some: list[AblationRow], metric: str) -> list[tuple[float, float]]:
    """A metric's curve."""
    return sorted((row.training_forwards, row.metrics[metric].mean) for row in some)


def crossing(curve: list[tuple[float, float]], floor: float) -> float | None:
    """Training forwards at which a curve falls to `floor`, between its points along log(forwards).

    None if it has not fallen so far by its last point; its first point if it begins below.
    """
    (x0, y0), *rest = curve
    if y0 <= floor:
        return x0
    for x1, y1 in rest:
        if y1 <= floor:
            return float(x0 * (x1 / x0) ** ((y0 - floor) / (y0 - y1)))
        x0, y0 = x1, y1
    return None


def crossings(results: AblationResults) -> list[list[str]]:
    """For each curve and floor above which it begins: label, floor, and where each metric of CURVES falls to it."""
    found = [
        [label, floor.label, *(_crossing(some, floor, metric) for metric in CURVES)]
        for label, some in curves(results.best_rows()).items()
        for floor in results.floors
    ]
    return [cells for cells in found if not all(cell.startswith("by ") for cell in cells[2:])]  # never above


def _crossing(some: list[AblationRow], floor: AblationFloor, metric: str) -> str:
    curve = points(some, metric)
    first, last = curve[0][0], curve[-1][0]
    found = crossing(curve, floor.metrics[metric].mean)
    if found is None:
        return f"not by {last:,.0f}"
    return f"by {first:,.0f}" if found == first else f"{float(f'{found:.2g}'):,.0f}"
