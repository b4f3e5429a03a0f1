"""All stages of a run as tasks that wait for each other as DVC says, and what comes before and after them."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from flows import graph, process, stages
from flows.process import StageFailedError, run_command
from flows.settings import require_server
from flows.tree import Overrides, Tree, changed_files, find_root, params_of, work_tree

MOST_STAGES = 256  # each waits in a thread of its own until its turn
PROBLEMS_FOUND = 1  # exit status of `gpd registry sync` that recorded the rest


@contextmanager
def prepared(commit: str, overrides: Overrides | None) -> Iterator[Tree]:
    """The work tree of a run. However the run ends, nothing that it started goes on."""
    logger = get_run_logger()
    process.start_again()
    root = find_root()
    if changed := changed_files(root):
        logger.warning(f"the run uses commit {commit}; not in it are your changes of {', '.join(changed[:5])}")
    try:
        with work_tree(root, commit, overrides) as tree:
            logger.info(f"commit {tree.commit}, params {tree.params_hash[:12]}, tree {tree.folder}")
            yield tree
    except BaseException:  # also the signal that cancels a run
        process.stop_all()
        raise


def run_stages(tree: Tree, *, wanted: set[str] | None, retries: int, at_once: int) -> None:
    """Brings stages (all, or some and what they need) up to date, each as soon as what it needs is there.

    Raises:
        StageFailedError: of the first stage that failed, when no other stage can go on.
    """
    needs = graph.needs(tree.folder)
    keys = graph.content_keys(tree.folder, needs)
    chosen = graph.with_needs(needs, wanted if wanted is not None else set(needs))
    run = stages.run_stage.with_options(retries=retries)
    futures: dict[str, PrefectFuture[None]] = {}
    try:
        for name in (name for name in graph.order(needs) if name in chosen):
            waits_for = [futures[need] for need in needs[name]]
            futures[name] = run.submit(tree, name, keys[name], at_once, wait_for=waits_for)
        failures = [error for future in futures.values() if (error := _failure(future)) is not None]
    except BaseException:  # nothing reaches the threads: end their commands, then they end
        process.stop_all()
        raise
    if failures:
        raise next((error for error in failures if isinstance(error, StageFailedError)), failures[0])


def _failure(future: Any) -> BaseException | None:
    """What a stage failed with, once it has ended."""
    future.wait()
    found = future.state.result(raise_on_failure=False) if future.state.is_final() else None
    return found if isinstance(found, BaseException) else None


@task(name="registry sync", task_run_name="registry sync", cache_policy=NO_CACHE, persist_result=False)
def sync_registry(tree: Tree) -> None:
    """Records manifests, evaluations and runs; a document that cannot be used is told and stops nothing else."""
    logger = get_run_logger()

    def tell(lines: list[str]) -> None:
        logger.info("\n".join(lines))

    words = ["gpd", "registry", "sync"]
    try:
        run_command(words, cwd=tree.folder, env=tree.environment(), on_lines=tell, title="gpd registry sync")
    except StageFailedError as error:
        if error.exit_status != PROBLEMS_FOUND or not any("registry:" in line for line in error.last_lines):
            raise
        logger.warning("the registry could not use some documents; the rest is recorded")


def describe_run(verb: str, parameters: dict[str, Any]) -> str:
    """The name of a run: what it does, to which students, of which model, at which commit."""
    commit = str(parameters.get("commit") or "HEAD")
    try:
        root = find_root()
        full = process.read_command(["git", "rev-parse", f"{commit}^{{commit}}"], cwd=root).strip()
        params = params_of(root, full, parameters.get("overrides") or {})
    except Exception:  # noqa: BLE001  # the run itself tells what is wrong
        return f"{verb} {commit}"
    names = list(params["distill"]["stages"])
    span = names[0] if len(names) == 1 else f"{names[0]}..{names[-1]}"
    return f"{verb} {span} {params['model']['path'].rpartition('/')[2]} {full[:7]}"


def start(flow: Any) -> None:
    """Runs a flow from the command line: `python -m flows.distill '{"overrides": {..}}'`."""
    require_server()
    flow(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))
