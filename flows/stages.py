"""One task for each DVC stage: it waits for its turn, starts `dvc repro` for the stage and passes on its output."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_run_logger, runtime, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from flows import devices, locks
from flows.outputs import uses_model
from flows.process import StageFailedError, StoppedError, is_stopping, read_command, run_command
from flows.tree import Tree

USER_ERROR = 2  # gpd's exit status for a mistake in params.yaml or the like: trying again changes nothing
RETRY_DELAY_SECONDS = 5
SECONDS_BETWEEN_UPDATES = 2.0
LINES_ONE_BY_ONE = 20  # of a batch; more at once become one record, so that a flood holds nothing up

_PROGRESS = re.compile(r"^(?P<title>[^:]+): (?P<done>\d+)/(?P<total>\d+)(?: (?P<words>.*))?$")
_HINT = re.compile(
    r"^(To track the changes|To enable auto|Use `dvc push`|\s+git add |\s+dvc config )"
)  # DVC's, to people
_EXITED = re.compile(r"exited with (\d+)")


@dataclass(frozen=True)
class Progress:
    """A line `title: done/total words` of a stage."""

    title: str
    done: int
    total: int
    words: str

    @property
    def percent(self) -> float:
        """How much is done, of 100."""
        return 100.0 * min(self.done, self.total) / self.total if self.total else 100.0


def parse_progress(line: str) -> Progress | None:
    """The progress in a line, if there is any."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    return Progress(found["title"], int(found["done"]), int(found["total"]), found["words"] or "")


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


@dataclass
class Listener:
    """Hands a stage's lines to the run's log, and its progress to an artifact that moves."""

    stage: str
    logger: Any
    artifact: UUID | None = None
    updated: float = field(default=-SECONDS_BETWEEN_UPDATES)

    def __call__(self, lines: list[str]) -> None:
        """Takes the new lines."""
        said = [line for line in lines if not _HINT.match(line)]
        for record in said if len(said) <= LINES_ONE_BY_ONE else ["\n".join(said)]:
            self.logger.info(record)
        progress = next(filter(None, map(parse_progress, reversed(lines))), None)
        if progress and (progress.done >= progress.total or time.monotonic() - self.updated > SECONDS_BETWEEN_UPDATES):
            self.show(progress.percent, f"{progress.title}: {progress.done}/{progress.total} {progress.words}")

    def show(self, percent: float, description: str) -> None:
        """Moves the artifact; a server that does not answer stops no training."""
        self.updated = time.monotonic()
        try:
            if self.artifact is None:
                key = f"progress-{slug(self.stage)}"
                made: Any = create_progress_artifact(progress=percent, key=key, description=description)
                self.artifact = made
            else:
                update_progress_artifact(self.artifact, progress=percent, description=description)
        except Exception as error:  # noqa: BLE001  # an artifact is a view of the work, not the work
            self.logger.warning(f"progress is not shown: {error}")


def slug(name: str) -> str:
    """A name as an artifact's key may be: lower case letters, digits, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


@task(
    name="stage",
    task_run_name="{label}{stage}",
    cache_policy=NO_CACHE,  # DVC is the cache
    persist_result=False,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_retry_condition,
)
def run_stage(tree: Tree, stage: str, key: str, turns: Sequence[Path], label: str = "") -> None:
    """Brings one DVC stage up to date: from the cache where its work was done before, else by running it.

    Args:
        key: hash of all that determines the stage's output: equal work waits for its twin instead of running twice.
        turns: lock files; as many stages of the run go at the same time.
        label: goes before the stage's name if a run has several trees.
    """
    logger = get_run_logger()
    listener = Listener(f"{label}{stage}", logger)
    started = time.monotonic()
    try:
        with _turn(tree, stage, key, turns, logger) as slot:
            env = tree.code_environment(
                GPD_PROGRESS="lines", GPD_FLOW_RUN_ID=str(runtime.flow_run.id or ""), **slot.env
            )
            run_command(
                repro_words(tree, stage), cwd=tree.folder, env=env, on_lines=listener, title=stage, held=slot.held
            )
            _share(tree, stage, listener)
    except StageFailedError as error:
        raise StageFailedError(stage, child_status(error), error.last_lines) from None
    listener.show(100.0, f"{stage}: done in {time.monotonic() - started:.0f} s")


def repro_words(tree: Tree, stage: str) -> list[str]:
    """The command for one stage. With a remote, it also takes from there what another machine has made."""
    return ["dvc", "--wait-for-lock", "repro", "-s", *(["--pull"] if tree.remote else []), stage]


@contextmanager
def _turn(tree: Tree, stage: str, key: str, turns: Sequence[Path], logger: Any) -> Iterator[devices.Slot]:
    """Until nobody does the same work, this run has a place left, and there is a device if one is needed."""
    with ExitStack() as stack:
        same = locks.locked(
            tree.stage_lock(stage, key), lambda: logger.info(f"{stage}: another run does this work; waiting for it")
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


def _share(tree: Tree, stage: str, listener: Listener) -> None:
    """With a remote: what was made, for the other machines. A remote that is away does not undo the work."""
    if not tree.remote:
        return
    words = ["dvc", "--wait-for-lock", "push", "--run-cache", stage]
    try:
        run_command(words, cwd=tree.folder, env=tree.environment(), on_lines=listener, title=f"push of {stage}")
    except StageFailedError as error:
        listener.logger.warning(f"{stage} is not on the remote {tree.remote}: {error}")
