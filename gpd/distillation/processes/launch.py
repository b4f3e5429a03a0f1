"""A command on several processes: one a visible GPU, or GPD_PROCESSES of them; torch's elastic launcher starts them."""

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from gpd.artifacts import UserError
from gpd.data.workers import num_workers

MISTAKES = "GPD_MISTAKES"  # the folder where processes that were started here leave why they failed
DVC = "DVC_STAGE"  # set in commands that `dvc repro` starts
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_SAVE = 60  # for processes that were told to end: an iteration and a train state; then they are killed


class Mistake(NamedTuple):
    """Why a process failed. `line` is for the user; without one it is a fault of the program, with a traceback."""

    when: float  # seconds since 1970
    line: str | None
    trace: str


def is_joined() -> bool:
    """Whether this is one of the processes already: torchrun's variables are there, its own or ours."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def is_main() -> bool:
    """Whether this is the process that writes."""
    return os.environ.get("RANK", "0") == "0"


def is_first() -> bool:
    """Whether this process speaks for the launch: the one that starts the others, or the main one of torchrun's."""
    return not is_joined() or (is_main() and MISTAKES not in os.environ)


def num_processes() -> int:
    """How many processes compute together: torchrun's, else GPD_PROCESSES, else one a visible GPU, else 1.

    Raises:
        UserError: GPD_PROCESSES is no number, or there are fewer GPUs.
    """
    if is_joined():
        return int(os.environ["WORLD_SIZE"])

    return num_workers(without_gpu=1)


def on_all_processes(words: Sequence[str], work: Callable[[], None]) -> None:
    """Does the work, alone or as one of the processes; or starts them all.

    Args:
        words: with which Python comes to this very call again.

    Raises:
        UserError: a process' that failed, or what `num_processes` raises.
        SystemExit: with the status of a process that failed otherwise.
    """
    if DVC in os.environ and not is_joined():
        threading.Thread(target=_stop_with_parent, args=(os.getppid(),), daemon=True).start()
    if not is_joined() and (number := num_processes()) > 1:
        start(words, number)
        return
    if is_joined():
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        work()
    except SystemExit as stopped:
        if not is_joined():
            raise
        _end(stopped.code if isinstance(stopped.code, int) else 1)
    except Exception as error:
        if MISTAKES not in os.environ:
            raise
        _leave(error, Path(os.environ[MISTAKES]))


def start(words: Sequence[str], number: int) -> None:
    """Runs Python with these words in so many processes; if one fails or this one is told to end, all end.

    Raises:
        UserError: of the process that failed first.
        SystemExit: its status if it failed otherwise; 128 and the signal's number.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.CRITICAL)  # the launcher's words on what we say in one line
    with tempfile.TemporaryDirectory(prefix="gpd-") as folder:
        os.environ[MISTAKES] = folder
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=number,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            shutdown_timeout=SECONDS_TO_SAVE,
        )
        try:
            elastic_launch(config, sys.executable)(*words)
        except SignalException as error:
            sys.exit(128 + error.sigval)
        except ChildFailedError as error:
            exit_codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
            _tell(Path(folder), exit_codes)
        finally:
            del os.environ[MISTAKES]
            logging.disable(logging.NOTSET)


def _tell(folder: Path, exit_codes: Mapping[int, int]) -> None:
    """Says why the first of the processes failed: the others failed for want of it, or were ended by SIGTERM."""
    mistakes = [Mistake(*json.loads(path.read_text())) for path in folder.glob("*.json")]
    for rank, code in sorted(exit_codes.items(), key=lambda item: item[1] == -signal.SIGTERM):
        if code < 0 and not (code == -signal.SIGTERM and mistakes):  # killed: it could not say a word
            print(f"gpd: process {rank} was ended by {signal.Signals(-code).name}", file=sys.stderr)
            sys.exit(128 - code)
    if not mistakes:
        sys.exit(next(iter(exit_codes.values())))
    first = min(mistakes, key=lambda mistake: mistake.when)
    if first.line is not None:
        raise UserError(first.line)
    print(first.trace, end="", file=sys.stderr)
    sys.exit(1)


def _leave(error: Exception, folder: Path) -> None:
    """Notes why this process fails, for the one that started it, and ends at once: others may be waiting for it."""
    line = str(error) if isinstance(error, UserError) else None
    if isinstance(error, OSError) and error.filename:
        line = f"{error.filename}: {error.strerror}"
    mistake = Mistake(time.time(), line, traceback.format_exc())
    (folder / f"{os.getpid()}.json").write_text(json.dumps(mistake))
    _end(1 if line is None else 2)


def _end(status: int) -> NoReturn:
    """Ends this process without waiting for what the others have of it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_with_parent(parent: int) -> None:
    """Ends this process when that which started it is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(128 + signal.SIGHUP)


def _stop_with_parent(parent: int) -> None:
    """Tells this process to end when `dvc repro` is gone, which leaves its commands running when it is killed.

    The shell between them runs the command in its own place.
    """
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)
