"""Quality over the number of sampling steps: a line for each family, and the undistilled teacher's as the floor; and
from which number on progression pays."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gpd.ablation.curves import CURVES
from gpd.ablation.tables import figure, label_of
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
        [label, name_of(metric), *(_cell(line.get(steps), metric) for steps in counts)]
        for label, line in found.items()
        for metric in CURVES
    ]


VERDICT_HEAD = ["by", "steps", "progression pays", "best single stage", "", "best chain", ""]


class Verdict(NamedTuple):
    """The best single stage and the best chain at a number of steps, by one metric."""

    metric: str
    single: AblationRow
    chain: AblationRow

    @property
    def word(self) -> str:
        """Whether the chain is ahead by more than the deviation of the difference: sqrt(std_single^2 + std_chain^2)."""
        single, chain = self.single.metrics[self.metric], self.chain.metrics[self.metric]
        if single.std is None or chain.std is None:
            return "one seed alone"
        ahead, deviation = single.mean - chain.mean, math.hypot(single.std, chain.std)
        return "a tie" if abs(ahead) <= deviation else "yes" if ahead > 0 else "no"

    def cells(self) -> list[str]:
        """Under VERDICT_HEAD."""
        rows = (self.single, self.chain)
        sides = (cell for row in rows for cell in (_family_of(row), figure(row.metrics[self.metric])))
        return [name_of(self.metric), str(self.single.steps), self.word, *sides]


def _family_of(row: AblationRow) -> str:
    return label_of(row.model_copy(update={"label": row.family}))


def is_chain(row: AblationRow) -> bool:
    """Whether it was trained in stages of several horizons; a fold is no other horizon."""
    return len({stage.partition("-")[0] for stage in row.stages}) > 1


def verdicts(results: AblationResults) -> list[Verdict]:
    """For each metric of CURVES and each number of steps at which there are both."""
    rows = [row for row in results.best_rows() if row.family is not None and row.stages]
    found = []
    for metric in CURVES:
        for steps in sorted({row.steps for row in rows}, reverse=True):
            best: dict[bool, AblationRow] = {}
            for row in sorted((row for row in rows if row.steps == steps), key=lambda row: -row.metrics[metric].mean):
                best[is_chain(row)] = row
            if len(best) > 1:
                found.append(Verdict(metric, best[False], best[True]))
    return found


def pays(found: Sequence[Verdict]) -> str:
    """The answer in a sentence for each metric, with the number of seeds."""
    counts = [row.num_seeds for one in found for row in (one.single, one.chain)]
    seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
    said = [f"{name_of(metric)}: {_said([one for one in found if one.metric == metric])}" for metric in CURVES]
    return f"Does progression pay (seeds: {seeds})? By {'; by '.join(said)}."


def _said(some: Sequence[Verdict]) -> str:
    """`yes at 3, 2 steps, a tie at 6 steps`."""
    words = dict.fromkeys(one.word for one in some)
    counts = {word: ", ".join(str(one.single.steps) for one in some if one.word == word) for word in words}
    return ", ".join(f"{word} at {steps} step{'s'[: steps != '1']}" for word, steps in counts.items())


def name_of(metric: str) -> str:
    """As tables have it."""
    return METRICS[metric].column or METRICS[metric].label


def _cell(entry: AblationRow | AblationFloor | None, metric: str) -> str:
    return "–" if entry is None else figure(entry.metrics.get(metric))
