"""Writes the tables of docs/ablation.md, between `<!-- table NAME -->` and `<!-- end -->`, from results.json.

gpd ablate --table && python docs/ablation.py
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gpd.ablation.curves import CURVES
from gpd.ablation.markdown import make_table
from gpd.ablation.steps import VERDICT_HEAD, head, lines, pays, table_rows, verdicts
from gpd.ablation.tables import STALE, figure, label_of
from gpd.documents import AblationFloor, AblationResults, AblationRow, load_document

PAGE = Path("docs/ablation.md")
RESULTS = Path("data/ablation/results.json")
BLOCK = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
METRICS = ["trajectory error", "moment match, latents"]
WAYS = {  # variant, or sweep of which one row is shown -> what it is
    "recipe": "**one stage, two guided evaluations of Adams-Bashforth a target (the default's way)**",
    "piecewise-flow": "piecewise rectified flow, on the same second-order targets",
    "absorb-first": "k1 absorbs the guidance, then k8",
    "pdd": "parallel decoding (PDD) as published: heads, midpoint, own states, one block",
    "pdd-folded": "PDD, then folded into a plain network",
    "pi-flow": "heads, scheduled mixing (pi-Flow): the teacher's share of a block falls from 1 to 0",
    "flow-map": "Lagrangian flow map",
    "two-stages": "k4, then k8 by a jump and a tail of half the horizon",
    "long-tail": "doubling, k1 k2 k4 k8, with Euler tails of half the horizon",
    "plus-one": "+1 as published, k1 .. k8, with our guidance, clips and optimiser",
    "anchored": "doubling, tail 1, 15 % of the states anchored to true roll-outs",
    "doubling": "doubling, tail 1",
    "one-shot": "one-shot: the true guided roll-out as target",
    "halving": "progressive halving",
    "consistency": "latent consistency distillation",
}
CURVES_SHOWN = {
    "**one stage, Adams-Bashforth**": ("recipe-curve", "recipe-full"),
    "one-shot, true roll-outs": ("one-shot-curve",),
    "+1, with our guidance, clips and optimiser": ("plus-one-curve",),
}
CHAIN = "the default's chain"
FLOORS_SHOWN = {
    "teacher-6": "the undistilled teacher, 6 guided Euler steps (12 forwards)",
    "teacher-6-unipc": "the undistilled teacher, 6 guided steps of UniPC (12 forwards)",
    "teacher-12": "the undistilled teacher, 12 guided Euler steps (24 forwards)",
}


def fill(page: str, results: AblationResults) -> str:
    """The page with its tables as the results have them."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]](results)}{block[3]}", page)


def ways(results: AblationResults) -> str:
    """Ways to a 6-step student at the grid's budget, the nearest first."""
    found = {row.origin: row for row in results.best_rows() if row.origin in WAYS and row.family is None}
    rows = sorted(found.values(), key=lambda row: row.metrics[CURVES[0]].mean)
    cells = [[_way(row), *(short(figure(row.metrics[metric])) for metric in CURVES)] for row in rows]
    return make_table(["way to a 6-step student", *METRICS], 1, cells)


def _way(row: AblationRow) -> str:
    rate = f", rate {row.learning_rate:g}" if row.is_swept else ""
    return WAYS[row.origin] + rate + (STALE if row.is_stale else "")


def over_training(results: AblationResults) -> str:
    """Error, then moments, of the variants that ran at several budgets."""
    found = {(variant, row.budget): row for row in results.rows for variant in [row.variant]}
    budgets = sorted({budget for variant, budget in found for some in CURVES_SHOWN.values() if variant in some})
    rows = [
        [label, *("".join(_point(found[key]) for key in _keys(variants, budget) if key in found) for budget in budgets)]
        for label, variants in CURVES_SHOWN.items()
    ]
    return make_table(["training forwards", *(f"{budget:,}" for budget in budgets)], 1, rows)


def _keys(variants: Iterable[str], budget: int) -> Iterator[tuple[str, int]]:
    return ((variant, budget) for variant in variants)


def _point(row: AblationRow) -> str:
    error, moments = (row.metrics[metric] for metric in CURVES)
    return short(f"{figure(error)}, {moments.mean:.3f}") + (STALE if row.is_stale else "")


def over_steps(results: AblationResults) -> str:
    """Every family at every number of steps."""
    found = lines(results)
    return make_table(head(found), 2, short_all(table_rows(found))) if found else NOTHING


def progression(results: AblationResults) -> str:
    """Where the best chain is ahead of the best single stage: in a sentence, then in a table."""
    if not (found := verdicts(results)):
        return NOTHING
    return f"{pays(found)}\n\n{make_table(VERDICT_HEAD, len(VERDICT_HEAD), short_all(one.cells() for one in found))}"


def default_chain(results: AblationResults) -> str:
    """The default's chain beside one stage, and the undistilled teacher in as many guided steps or twice as many."""
    rows: list[AblationRow | AblationFloor] = [row for row in results.best_rows() if row.group == CHAIN]
    rows += [floor for floor in results.floors if floor.label in FLOORS_SHOWN]
    cells = [[*_name(row), *(short(figure(row.metrics[metric])) for metric in CURVES)] for row in rows]
    return make_table(["6-step student", "training forwards", "seeds", *METRICS], 1, cells) if rows else NOTHING


def _name(row: AblationRow | AblationFloor) -> list[str]:
    if isinstance(row, AblationFloor):
        return [FLOORS_SHOWN[row.label], "0", "–"]
    return [label_of(row), f"{row.training_forwards:,}", str(row.num_seeds)]


def short_all(rows: Iterable[list[str]]) -> list[list[str]]:
    """With figures as the page has them."""
    return [[short(cell) for cell in row] for row in rows]


def short(figures: str) -> str:
    """No zero before the point."""
    return re.sub(r"\b0\.(?=\d{3}\b)", ".", figures)


NOTHING = "Not run yet: `gpd ablate --only steps`.\n"
TABLES: dict[str, Callable[[AblationResults], str]] = {
    "ways": ways,
    "over-training": over_training,
    "over-steps": over_steps,
    "progression": progression,
    "default-chain": default_chain,
}

if __name__ == "__main__":
    outcome = load_document(AblationResults, RESULTS, "`gpd ablate` writes it")
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), outcome), encoding="utf-8")
