"""ablation.html: curves over what training cost, and every table, on one self-contained page."""

from collections.abc import Iterator, Mapping
from typing import Any

from gpd.ablation.curves import CURVES, crossings, curves, points
from gpd.ablation.steps import FLOOR, VERDICT_HEAD, Line, head, lines, pays, table_rows, verdicts
from gpd.ablation.tables import CROSSING_HEAD, HEAD, cells, groups, label_of, words
from gpd.documents import AblationFloor, AblationResults
from gpd.evaluation.metrics import METRICS
from gpd.pages.chart import Series, line_chart
from gpd.pages.html import document, element, paragraph, section, table

TITLE = "Ablation on the miniature"
MOST_ABOVE = 2.0  # times the highest point of a family: what lies above is in the table alone


def make_page(results: AblationResults) -> str:
    """The page."""
    return document(
        TITLE,
        element("h1", TITLE),
        paragraph(words(results).replace("`", ""), "lead"),
        *_over_steps(results),
        section(
            "Quality over training forwards",
            element("div", *(_chart(metric, results) for metric in CURVES), class_="charts"),
            table(CROSSING_HEAD, crossings(results)),
        ),
        *(_group(title, some) for title, some in groups(results).items() if some),
    )


def _group(title: str, some: list[Any]) -> str:
    return section(title.capitalize(), table([title, *HEAD], [[label_of(row), *cells(row)] for row in some]))


def _over_steps(results: AblationResults) -> Iterator[str]:
    """A line for each family over the number of steps, and the undistilled teacher's; nothing without families."""
    if found := lines(results):
        charts = [_steps_chart(metric, found) for metric in CURVES]
        yield section(
            "Quality over the number of steps",
            element("div", *charts, class_="charts"),
            table(head(found), table_rows(found)),
            *_over_chains(results),
        )


def _over_chains(results: AblationResults) -> Iterator[str]:
    """Where progression pays, if there are chains and single stages to compare."""
    if found := verdicts(results):
        yield paragraph(pays(found))
        yield table(VERDICT_HEAD, [one.cells() for one in found])


def _steps_chart(metric: str, found: Mapping[str, Line]) -> str:
    highest = MOST_ABOVE * max(value for label in found if label != FLOOR for _, value in _values(found[label], metric))
    series = [_line(label, line, metric, colour, highest) for colour, (label, line) in enumerate(found.items())]
    label = METRICS[metric].label
    return line_chart(f"{label} over steps", "steps of sampling", label, series, log_x=True, log_y=True)


def _values(line: Line, metric: str) -> Iterator[tuple[int, float]]:
    return ((steps, entry.metrics[metric].mean) for steps, entry in line.items() if metric in entry.metrics)


def _line(label: str, line: Line, metric: str, colour: int, highest: float) -> Series:
    """Of the points up to `highest`: the teacher in one step would press the families together."""
    shown = sorted(steps for steps, value in _values(line, metric) if value <= highest)
    entries = [(steps, line[steps].metrics[metric]) for steps in shown]
    points = [(float(steps), entry.mean) for steps, entry in entries]
    return Series(label, points, colour, spreads=[entry.std for _, entry in entries])


def _chart(metric: str, results: AblationResults) -> str:
    """A metric's curves, and the floors that they have to cross as level lines."""
    drawn = {label: points(some, metric) for label, some in curves(results.best_rows()).items()}
    every = [point for curve in drawn.values() for point in curve]
    if not every:
        return ""
    highest = max(value for _, value in every)
    crossed = [floor for floor in results.floors if floor.metrics[metric].mean < highest]
    series = [Series(label, curve, colour) for colour, (label, curve) in enumerate(drawn.items())]
    series += [
        _level(floor, metric, (min(every)[0], max(every)[0]), len(drawn) + place) for place, floor in enumerate(crossed)
    ]
    label = METRICS[metric].label
    return line_chart(f"{label} over training", "training forwards", label, series, log_x=True, log_y=True)


def _level(floor: AblationFloor, metric: str, ends: tuple[float, float], colour: int) -> Series:
    value = floor.metrics[metric].mean
    return Series(f"{floor.label}, {floor.sampling_forwards} forwards a clip", [(x, value) for x in ends], colour)
