"""Quality over the number of sampling steps: a line for each family, and the undistilled teacher's as the floor."""

from collections.abc import Mapping

from gpd.ablation.curves import CURVES
from gpd.ablation.tables import figure
from gpd.documents import AblationFloor, AblationResults, AblationRow
from gpd.evaluation.metrics import METRICS

FLOOR = "the undistilled teacher, guided: two forwards a step"

Line = dict[int, AblationRow | AblationFloor]  # by number of steps


def lines(results: AblationResults) -> dict[str, Line]:
    """Label -> line: families in the order of the grid, the floor last."""
    found: dict[str, Line] = {}
    for row in results.best_rows():
        if row.family is not None:
            found.setdefault(row.family, {})[row.steps] = row
    floor: Line = {one.steps: one for one in results.floors if _is_guided_euler(one)}
    counts = numbers_of_steps(found)
    return {**found, FLOOR: {steps: one for steps, one in floor.items() if steps in counts}} if found else {}


def _is_guided_euler(floor: AblationFloor) -> bool:
    return floor.solver == "euler" and floor.sampling_forwards == 2 * floor.steps


def numbers_of_steps(found: Mapping[str, Line]) -> list[int]:
    """Those that any line has, falling."""
    return sorted({steps for line in found.values() for steps in line}, reverse=True)


def head(found: Mapping[str, Line]) -> list[str]:
    """The columns of the table."""
    return ["at equal training forwards", "", *(f"{steps} step{'s'[: steps > 1]}" for steps in numbers_of_steps(found))]


def table_rows(found: Mapping[str, Line]) -> list[list[str]]:
    """For each line and each metric of CURVES a figure at each number of steps."""
    counts = numbers_of_steps(found)
    return [
        [label, METRICS[metric].column or METRICS[metric].label, *(_cell(line.get(steps), metric) for steps in counts)]
        for label, line in found.items()
        for metric in CURVES
    ]


def _cell(entry: AblationRow | AblationFloor | None, metric: str) -> str:
    return "–" if entry is None else figure(entry.metrics.get(metric))
