"""All stages of a run as tasks that wait for each other in DVC's order, and what comes before and after them."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from flows import graph, process, stages
from flows.process import StageFailedError, run_command
from flows.settings import require_server
from flows.tree import Overrides, Tree, changed_files, find_commit, find_root, params_of, work_tree

MOST_STAGES = 256  # each waits in a thread of its own until its turn
OPTIONS: dict[str, Any] = {"task_runner": ThreadPoolTaskRunner(max_workers=MOST_STAGES), "persist_result": False}
MOST_CHARACTERS = 120  # of a run's name
FILES_NAMED = 5  # of the changes that a run does not see
DECIDING = {"params.yaml", "dvc.yaml"}
WRITTEN = ("data/", "dvc.lock")
PROBLEMS_FOUND = 1  # exit status of `gpd registry sync` that recorded the rest

_MADE_UP = re.compile(r"[a-z]+-[a-z]+")  # `prudent-lemur`: what Prefect calls a run without a name


@contextmanager
def guarded() -> Iterator[Path]:
    """The repository of a run. However the run ends, nothing that it started goes on."""
    process.start_again()
    try:
        yield find_root()
    except BaseException:  # also the signal that cancels a run
        process.stop_all()
        raise


@contextmanager
def prepared(
    root: Path, commit: str, overrides: Overrides | None, students: Mapping[str, Path] | None = None
) -> Iterator[Tree]:
    """A work tree of a run, with a line in its log that states what it is."""
    logger = get_run_logger()
    if changed := changed_files(root):
        logger.warning(f"the run uses commit {commit}; not in it are your changes of {some_of(changed)}")
    with work_tree(root, commit, overrides, students=students) as tree:
        logger.info(f"commit {tree.commit}, params {tree.params_hash[:12]}, tree {tree.folder}")
        yield tree


def some_of(files: list[str]) -> str:
    """Changed files in a few words: what decides a result first, then what a run has written."""
    first = sorted(files, key=lambda file: (file not in DECIDING, file.startswith(WRITTEN), file))
    more = len(files) - FILES_NAMED
    return ", ".join(first[:FILES_NAMED]) + (f" and {more} more" if more > 0 else "")


def run_stages(tree: Tree, *, wanted: set[str] | None, retries: int, at_once: int) -> None:
    """Brings stages (all, or some and what they need) up to date.

    Raises:
        StageFailedError: of the first stage that failed, when no other stage can go on.
    """
    failures = wait_for(submit_stages(tree, wanted=wanted, retries=retries, turns=turns_in(tree, at_once)))
    if failures:
        raise first_cause(failures)


def turns_in(tree: Tree, at_once: int) -> list[Path]:
    """As many lock files as stages may go at the same time."""
    return [tree.folder / ".work" / f"turn-{number}.lock" for number in range(at_once)]


def submit_stages(
    tree: Tree, *, wanted: set[str] | None, retries: int, turns: list[Path], label: str = ""
) -> dict[str, Any]:
    """Starts each stage as soon as what it needs is there; yields their futures by name."""
    needs = graph.without(graph.needs(tree.folder), tree.given)
    chosen = graph.with_needs(needs, wanted if wanted is not None else set(needs))
    keys, outdated = graph.content_keys(tree.folder, needs), graph.outdated(tree.folder, needs)
    run = stages.run_stage.with_options(retries=retries)
    futures: dict[str, Any] = {}
    for name in (name for name in graph.order(needs) if name in chosen):
        work = stages.Work(tree, name, keys[name], is_done=name not in outdated)
        futures[name] = run.submit(work, turns, label, wait_for=[futures[need] for need in needs[name]])
    return futures


def wait_for(futures: Mapping[str, Any]) -> list[BaseException]:
    """Waits until all have ended; what went wrong. If the wait is broken off, so is the work."""
    try:
        return [error for future in futures.values() if (error := _failure(future)) is not None]
    except BaseException:  # nothing reaches the threads: end their commands, then they end
        process.stop_all()
        raise


def first_cause(failures: list[BaseException]) -> BaseException:
    """The stage that failed by itself, not one that could not start without it."""
    return next((error for error in failures if isinstance(error, StageFailedError)), failures[0])


def _failure(future: Any) -> BaseException | None:
    """What a stage failed with, once it has ended."""
    future.wait()
    found = future.state.result(raise_on_failure=False) if future.state.is_final() else None
    return found if isinstance(found, BaseException) else None


@task(name="registry sync", task_run_name="registry sync", cache_policy=NO_CACHE, persist_result=False)
def sync_registry(tree: Tree) -> None:
    """Records manifests, evaluations and runs; a document that cannot be used is reported and stops nothing else."""
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


def describe_run(verb: str, parameters: dict[str, Any], *, with_students: bool = True) -> str:
    """The name of a run: as a person typed it, else what it does, to which students, of which model, commit, values."""
    name = str(runtime.flow_run.name or "")
    return name if name and not _MADE_UP.fullmatch(name) else _describe(verb, parameters, with_students)


def _describe(verb: str, parameters: dict[str, Any], with_students: bool) -> str:
    commit, overrides = str(parameters.get("commit") or "HEAD"), parameters.get("overrides") or {}
    try:
        root = find_root()
        full = find_commit(root, commit)
        params = params_of(root, full, overrides)
    except Exception:  # noqa: BLE001  # the run itself reports what is wrong
        return f"{verb} {commit!r}"[:MOST_CHARACTERS]
    names = list(params["distill"]["stages"])
    span = [names[0] if len(names) == 1 else f"{names[0]}..{names[-1]}"] if with_students else []
    values = [f"{key.rpartition('.')[2]}={json.dumps(value)}" for key, value in overrides.items()]
    words = [verb, *span, params["model"]["path"].rpartition("/")[2], full[:7], *values]
    return " ".join(words)[:MOST_CHARACTERS]


def start(flow: Any) -> None:
    """Runs a flow from the command line: `python -m flows.distill '{"overrides": {..}}'`."""
    require_server()
    flow(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))
