"""ablation.html: curves over what training cost, and every table, on one self-contained page."""

from typing import Any

from gpd.ablation.curves import CURVES, crossings, curves, points
from gpd.ablation.tables import CROSSING_HEAD, HEAD, cells, groups, words
from gpd.documents import AblationFloor, AblationResults
from gpd.evaluation.metrics import METRICS
from gpd.pages.chart import Series, line_chart
from gpd.pages.html import document, element, paragraph, section, table

TITLE = "Ablation on the miniature"


def make_page(results: AblationResults) -> str:
    """The page."""
    return document(
        TITLE,
        element("h1", TITLE),
        paragraph(words(results).replace("`", ""), "lead"),
        section(
            "Quality over training forwards",
            element("div", *(_chart(metric, results) for metric in CURVES), class_="charts"),
            table(CROSSING_HEAD, crossings(results)),
        ),
        *(_group(title, some) for title, some in groups(results).items() if some),
    )


def _group(title: str, some: list[Any]) -> str:
    return section(title.capitalize(), table([title, *HEAD], [[row.label, *cells(row)] for row in some]))


def _chart(metric: str, results: AblationResults) -> str:
    """A metric's curves, and the floors that they have to cross as level lines."""
    drawn = {label: points(some, metric) for label, some in curves(results.rows).items()}
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
