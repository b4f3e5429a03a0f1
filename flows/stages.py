"""One task for each DVC stage: it waits for its turn, starts `dvc repro` for the stage and passes on its output."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE

from flows import devices, locks, rwlock
from flows.listener import Listener
from flows.outputs import uses_model
from flows.process import StageFailedError, StoppedError, is_stopping, read_command, run_command
from flows.tree import Tree

USER_ERROR = 2  # gpd's exit status for a mistake in params.yaml or the like: trying again changes nothing
RETRY_DELAY_SECONDS = 5

_EXITED = re.compile(r"exited with (\d+)")


def child_status(error: StageFailedError) -> int:
    """The exit status of the stage's own command: DVC prints it and exits with another one itself."""
    found = [int(status) for line in error.last_lines for status in _EXITED.findall(line)]
    return found[-1] if found else error.exit_status


def may_be_retried(error: BaseException | None) -> bool:
    """Not if we stopped it on purpose, and not after a mistake of the user's."""
    if is_stopping() or isinstance(error, StoppedError):
        return False
    return not (isinstance(error, StageFailedError) and error.exit_status == USER_ERROR)


def _retry_condition(task: Any, run: Any, state: Any) -> bool:
    try:
        state.result()
    except BaseException as error:  # noqa: BLE001  # whatever it was, it is examined, not handled
        return may_be_retried(error)
    return False


@dataclass(frozen=True)
class Work:
    """One stage of a tree.

    Attributes:
        key: hash of all that determines the stage's output: equal work waits for its twin instead of running twice.
        is_done: DVC has found nothing to do.
    """

    tree: Tree
    stage: str
    key: str
    is_done: bool = False


@task(
    name="stage",
    task_run_name="{label}{work.stage}",
    cache_policy=NO_CACHE,  # DVC is the cache
    persist_result=False,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_retry_condition,
)
def run_stage(work: Work, turns: Sequence[Path], label: str = "") -> None:
    """Brings one DVC stage up to date: from the cache where its work was done before, else by running it.

    Args:
        turns: lock files; as many stages of the run go at the same time.
        label: goes before the stage's name if a run has several trees.
    """
    listener = Listener(f"{label}{work.stage}", get_run_logger())
    started = time.monotonic()
    rwlock.mend(work.tree.folder)  # it is tried again if its dvc was killed
    try:
        if work.is_done:
            _share(work, listener)
        else:
            _reproduce(work, turns, listener)
    except StageFailedError as error:
        raise StageFailedError(work.stage, child_status(error), error.last_lines) from None
    seconds = time.monotonic() - started
    listener.show(100.0, f"{work.stage}: " + ("nothing to do" if work.is_done else f"done in {seconds:.0f} s"))


def _reproduce(work: Work, turns: Sequence[Path], listener: Listener) -> None:
    tree, run_id = work.tree, str(runtime.flow_run.id or "")
    with _turn(work, turns, listener.logger) as slot:
        env = tree.code_environment(GPD_PROGRESS="lines", GPD_FLOW_RUN_ID=run_id, **slot.env)
        words = repro_words(tree, work.stage)
        run_command(words, cwd=tree.folder, env=env, on_lines=listener, title=work.stage, held=slot.held)
        _share(work, listener)


def repro_words(tree: Tree, stage: str) -> list[str]:
    """The command for one stage. With a remote, it also takes from there what another machine has made."""
    return ["dvc", "--wait-for-lock", "repro", "-s", *(["--pull"] if tree.remote else []), stage]


@contextmanager
def _turn(work: Work, turns: Sequence[Path], logger: Any) -> Iterator[devices.Slot]:
    """Until nobody does the same work, this run has a place left, and there is a device if one is needed."""
    tree, stage = work.tree, work.stage
    with ExitStack() as stack:
        same = locks.locked(
            tree.stage_lock(stage, work.key),
            lambda: logger.info(f"{stage}: another run does this work; waiting for it"),
        )
        held = (stack.enter_context(same), stack.enter_context(locks.first_free(list(turns)))[1])
        if not devices.visible() or not needs_gpu(tree, stage):
            yield devices.Slot(devices.hidden(), held)
            return
        slot = stack.enter_context(devices.gpu_slot(lambda: logger.info(f"{stage}: waiting for a GPU")))
        logger.info(f"{stage}: on GPU {slot.env['CUDA_VISIBLE_DEVICES']}")
        yield devices.Slot(slot.env, (*held, *slot.held))


def needs_gpu(tree: Tree, stage: str) -> bool:
    """Whether this stage computes with networks now: not if DVC has its result already."""
    if not uses_model(tree.folder, stage):
        return False
    plan = read_command(
        ["dvc", "--wait-for-lock", "repro", "--dry", "-s", stage], cwd=tree.folder, env=tree.environment()
    )
    return "Running stage" in plan


def _share(work: Work, listener: Listener) -> None:
    """With a remote: what was made, for the other machines. A remote that is away does not undo the work."""
    tree, stage = work.tree, work.stage
    if not tree.remote:
        return
    words = ["dvc", "--wait-for-lock", "push", "--run-cache", stage]
    try:
        run_command(words, cwd=tree.folder, env=tree.environment(), on_lines=listener, title=f"push of {stage}")
    except StageFailedError as error:
        listener.logger.warning(f"{stage} is not on the remote {tree.remote}: {error}")
