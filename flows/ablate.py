"""A grid of overrides, each in a work tree of its own; the results stand side by side in one table."""

import itertools
import json
from contextlib import ExitStack
from typing import Annotated, Any

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_table_artifact
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.pipeline import (
    MOST_STAGES,
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
from flows.results import measurements, rounded
from flows.tree import Overrides, Tree, find_commit, params_of

MOST_VARIANTS = 64


def variants(grid: dict[str, list[Any]]) -> list[Overrides]:
    """Every combination of the values of a grid: as many overrides as the product of its lengths.

    Raises:
        ValueError: an axis without values, or too many combinations.
    """
    for key, values in grid.items():
        if not values:
            raise ValueError(f"grid: {key} has no values")
    found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(found) > MOST_VARIANTS:
        raise ValueError(f"grid: {len(found)} combinations; at most {MOST_VARIANTS} in one run")
    return found


def label_of(overrides: Overrides) -> str:
    """A variant in words: the last part of each key, and its value."""
    return " ".join(f"{key.rpartition('.')[2]}={json.dumps(value)}" for key, value in overrides.items()) or "as it is"


def _run_name() -> str:
    parameters = runtime.flow_run.parameters
    keys = ", ".join(key.rpartition(".")[2] for key in parameters.get("grid") or {})
    return describe_run(f"ablate {keys}", parameters)


@flow(
    name="ablate",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_STAGES),
    persist_result=False,
)
def ablate(
    grid: dict[str, list[Any]] | None = None,
    overrides: dict[str, Any] | None = None,
    student: str | None = None,
    commit: Annotated[str, Field(min_length=1)] = "HEAD",
    retries: Annotated[int, Field(ge=0, le=10)] = 1,
    at_once: Annotated[int, Field(ge=1, le=64)] = 1,
) -> None:
    """Distils and measures a student for every combination of a grid; stages that combinations share run once.

    Args:
        grid: lists of values by dotted keys of params.yaml, such as {"distill.seed": [0, 1, 2]}.
        overrides: values for params.yaml by dotted keys that all combinations have.
        student: the stage whose student is measured; the last one where it is left out.
        commit: commit, branch or tag of this repository to run; changes that are not committed are not seen.
        retries: how often a failed stage is tried again; a mistake in the params is not.
        at_once: how many stages go at the same time, of all combinations together.
    """
    with guarded() as root, ExitStack() as stack:
        full, common = find_commit(root, commit), overrides or {}
        asked = {label_of(variant): {**common, **variant} for variant in variants(grid or {})}
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
