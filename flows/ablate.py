"""Many overrides, each in a work tree of its own; the results stand side by side in one table.

They are every combination of a grid's values, or the runs of variants of data/ablation/grid.yaml, as `gpd ablate` plans
them.
"""

import itertools
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_table_artifact

from flows.parameters import AtOnce, Commit, Retries, described
from flows.parameters import Overrides as ParamOverrides
from flows.pipeline import (
    OPTIONS,
    describe_run,
    first_cause,
    guarded,
    prepared,
    start,
    submit_stages,
    sync_registry,
    turns_in,
    wait_for,
)
from flows.process import read_command
from flows.results import measurements, rounded
from flows.tree import Overrides, Tree, find_commit, params_of
from gpd.artifacts import UserError

MOST_RUNS = 64


def combinations(grid: dict[str, list[Any]]) -> list[Overrides]:
    """Every combination of the values of a grid: as many overrides as the product of its lengths.

    Raises:
        ValueError: an axis without values, or too many combinations.
    """
    for key, values in grid.items():
        if not values:
            raise ValueError(f"grid: {key} has no values")
    found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(found) > MOST_RUNS:
        raise ValueError(f"grid: {len(found)} combinations; at most {MOST_RUNS} in one run")
    return found


def planned(tree: Tree, names: list[str]) -> dict[str, Overrides]:
    """The runs of variants of data/ablation/grid.yaml by name, over all budgets and seeds that it has for them.

    Raises:
        StageFailedError: the grid has no such variant or is not valid; the lines show what is wrong.
    """
    words = ["gpd", "ablate", "--plan", f"--only={','.join(names)}"]
    return dict(json.loads(read_command(words, cwd=tree.folder, env=tree.code_environment())))


def label_of(overrides: Overrides) -> str:
    """A variant in words: the last part of each key, and its value."""
    return " ".join(f"{key.rpartition('.')[2]}={json.dumps(value)}" for key, value in overrides.items()) or "as it is"


def _run_name() -> str:
    parameters = runtime.flow_run.parameters
    names = parameters.get("variants") or [key.rpartition(".")[2] for key in parameters.get("grid") or {}]
    return describe_run(f"ablate {', '.join(names)}", parameters)


@flow(name="ablate", flow_run_name=_run_name, **OPTIONS)
def ablate(
    grid: Annotated[
        dict[str, list[Any]] | None,
        described('Lists of values by dotted keys of params.yaml, such as {"distill.seed": [0, 1, 2]}.'),
    ] = None,
    variants: Annotated[
        list[str] | None, described("Names in data/ablation/grid.yaml; each runs at all its budgets and seeds.")
    ] = None,
    overrides: ParamOverrides = None,
    student: Annotated[
        str | None, described("The stage whose student is measured; the last one if it is left out.")
    ] = None,
    commit: Commit = "HEAD",
    retries: Retries = 1,
    at_once: AtOnce = 1,
) -> None:
    """Distils and measures a student for every run of some variants, or for every combination of a grid's values.

    Stages that several share run once.
    """
    with guarded() as root, ExitStack() as stack:
        full, common = find_commit(root, commit), overrides or {}
        asked = _asked(root, full, common, grid or {}, variants or [])
        names = {
            label: student or list(params_of(root, full, one)["distill"]["stages"])[-1] for label, one in asked.items()
        }
        trees = {label: stack.enter_context(prepared(root, full, one)) for label, one in asked.items()}
        failures = _run_all(trees, names, retries, at_once)
        for label, tree in trees.items():
            if label not in failures:
                sync_registry(tree)
        table = [_row(label, tree, names[label], failures.get(label)) for label, tree in trees.items()]
        create_table_artifact(table=table, key="ablate-results", description=f"{len(table)} combinations, {full[:7]}")
        if failures:
            raise first_cause(list(failures.values()))


def _asked(
    root: Path, commit: str, common: Overrides, grid: dict[str, list[Any]], variants: list[str]
) -> dict[str, Overrides]:
    """Label -> overrides, of every requested run.

    Raises:
        UserError: both a grid and variants are given.
    """
    if not variants:
        return {label_of(one): {**common, **one} for one in combinations(grid)}
    if grid:
        raise UserError(f"ablate: grid={grid!r} and variants={variants!r}: give one of them")
    with prepared(root, commit, common) as tree:
        return {label: {**common, **one} for label, one in planned(tree, variants).items()}


def _run_all(trees: dict[str, Tree], names: dict[str, str], retries: int, at_once: int) -> dict[str, BaseException]:
    """Runs the stages of all variants; variant -> why it failed, of those that did."""
    turns = turns_in(next(iter(trees.values())), at_once)
    futures = {
        label: submit_stages(
            tree, wanted={f"evaluate@{names[label]}"}, retries=retries, turns=turns, label=f"{label}: "
        )
        for label, tree in trees.items()
    }
    failures: dict[str, BaseException] = {}
    for label, submitted in futures.items():
        if found := wait_for(submitted):
            failures[label] = first_cause(found)
            get_run_logger().error(f"{label}: {failures[label]}")
    return failures


def _row(label: str, tree: Tree, student: str, failure: BaseException | None) -> dict[str, Any]:
    """A variant's row: its metrics, or that it failed."""
    if failure is not None:
        return {"variant": label, "student": student, "state": str(failure).splitlines()[0]}
    metrics = rounded(measurements(tree.folder)[student])
    return {"variant": label, "student": student, "state": "done", **metrics, "params": tree.params_hash[:12]}


if __name__ == "__main__":
    start(ablate)
