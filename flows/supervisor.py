"""Runs a command and outlives its caller by seconds, to leave nothing of it behind.

    python supervisor.py COMMAND ...

Standard input is a pipe that the caller keeps open. When it closes (the caller stopped, crashed or was killed), the
command and everything it started get SIGTERM, and SIGKILL after GPD_GRACE_SECONDS (60): a training that is told to end
finishes its iteration and saves. It imports nothing of ours and so starts at once. The exit status is the command's,
128 + n after signal n.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

import psutil

GRACE_SECONDS = float(os.environ.get("GPD_GRACE_SECONDS") or 60.0)
POLL_SECONDS = 0.1
PR_SET_CHILD_SUBREAPER = 36


def main(words: list[str]) -> int:
    """Runs the command until it ends, standard input closes or a signal arrives; then clears what it left."""
    _adopt_orphans()
    asked_to_end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: asked_to_end.append(number))
    command = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
    while command.poll() is None and not asked_to_end:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS)
        if readable and not os.read(0, 1024):
            break
    end_descendants()
    status = command.poll()
    return 128 + signal.SIGKILL if status is None else status if status >= 0 else 128 - status


def _adopt_orphans() -> None:
    """Whatever the command leaves behind becomes our child instead of init's (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """SIGTERM to all that descend from this process, SIGKILL to those that are there GRACE_SECONDS later."""
    deadline = time.monotonic() + GRACE_SECONDS
    told: set[psutil.Process] = set()
    while running := living_descendants():
        is_late = time.monotonic() > deadline
        for process in running if is_late else running - told:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL if is_late else signal.SIGTERM)
        told |= running
        time.sleep(POLL_SECONDS / 2)


def living_descendants() -> set[psutil.Process]:
    """The processes below this one; one that has ended but was not waited for is none."""
    return {process for process in psutil.Process().children(recursive=True) if is_living(process)}


def is_living(process: psutil.Process) -> bool:
    """Whether a process has not ended."""
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
