"""A command of `gpd` in a forked process: as a user starts it, without seconds of imports."""

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_SECONDS = 120  # a command of the miniature takes two


@dataclass(frozen=True)
class Ended:
    """Exit status (negative: of a signal) and standard error."""

    code: int
    said: str


def import_all() -> None:
    """What the commands import, once, before there are forks. Nothing here starts a thread that a fork would lack."""
    import diffusers
    import peft  # noqa: F401
    import torch._dynamo
    import transformers
    import vl_convert  # noqa: F401

    from gpd import cli  # noqa: F401
    from gpd.ablation import ablate  # noqa: F401
    from gpd.data import encode, prepare  # noqa: F401
    from gpd.distillation import distill, execution  # noqa: F401
    from gpd.evaluation import evaluate, measurers  # noqa: F401
    from gpd.registry import sync  # noqa: F401
    from gpd.report import report  # noqa: F401
    from gpd.sampling import sample  # noqa: F401

    torch.set_num_threads(1)
    for name in ("AutoencoderKLWan", "WanTransformer3DModel", "WanPipeline", "UniPCMultistepScheduler"):
        getattr(diffusers, name)
    for name in ("UMT5EncoderModel", "PreTrainedTokenizerFast"):
        getattr(transformers, name)


def start_command(
    folder: Path,
    words: tuple[str, ...],
    first: Callable[[], None] = lambda: None,
    *,
    is_hurried: bool = True,
    **environment: str,
) -> int:
    """Forks a process that runs `gpd WORDS` in a folder; returns its id. Its words go to FOLDER.said.

    Args:
        first: is called in the new process before the command begins.
        is_hurried: trainings save at every iteration, ablations start no processes.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the new process has a handler
    process = os.fork()
    if process:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return process
    status = 70
    try:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))  # until `main` has its own
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.setsid()
        os.chdir(folder)
        os.environ.update(environment)
        _send_words_to(_said(folder))
        sys.argv = ["gpd", *words]
        if is_hurried:
            _HURRIED.get(words[0], lambda: None)()
        first()
        status = _status()
    finally:
        os._exit(status)


def _status() -> int:
    import traceback

    from gpd.cli import main

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:  # noqa: BLE001 - as Python itself
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def save_at_every_iteration() -> None:
    """As if a second went by in each iteration of the miniature, of which it does thirty in one."""
    from gpd.distillation.saving.train_state import TrainState

    make = TrainState.__init__

    def impatient(self: TrainState, folder: Path, *, save_every_seconds: float) -> None:
        make(self, folder, save_every_seconds=0.0)

    TrainState.__init__ = impatient  # type: ignore[method-assign]


def ablate_in_this_process() -> None:
    """Without the processes in which an ablation's runs begin anew, each with ten seconds of imports."""
    from gpd.ablation import side_by_side

    save_at_every_iteration()  # and not when a second has gone by: two runs make the same calls

    class Here(Executor):
        def __init__(self, *_: object, **__: object) -> None: ...

        def submit(self, call: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
            done: Future[Any] = Future()
            try:
                done.set_result(call(*given, **named))
            except Exception as error:  # noqa: BLE001 - as an executor
                done.set_exception(error)
            return done

    side_by_side.ProcessPoolExecutor = Here  # type: ignore[misc,assignment]


_HURRIED = {"distill": save_at_every_iteration, "ablate": ablate_in_this_process}


def _send_words_to(path: Path) -> None:
    null, words = os.open(os.devnull, os.O_WRONLY), os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(null, 1)
    os.dup2(words, 2)


def _said(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.said")


def wait_for(process: int, folder: Path, seconds: float = MAX_SECONDS) -> Ended:
    """How it ended; a process that takes longer is killed, with all that it has started, and that is code -9."""
    ends = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            break
        if time.monotonic() > ends:
            os.killpg(process, signal.SIGKILL)
            ends = float("inf")
        time.sleep(0.01)
    return Ended(os.waitstatus_to_exitcode(status), _said(folder).read_text(errors="replace"))


def run_command(
    folder: Path, words: tuple[str, ...], first: Callable[[], None] = lambda: None, **environment: str
) -> Ended:
    """`gpd WORDS` in a folder, to its end; `first` as above."""
    return wait_for(start_command(folder, words, first, **environment), folder)
