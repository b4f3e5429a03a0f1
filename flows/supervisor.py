"""Runs a command and outlives whoever asked for it by seconds, to leave nothing of it behind.

    python supervisor.py COMMAND ...

Standard input is a pipe that the caller holds open. When it closes (the caller stopped, crashed or was killed), the
command and everything it started get SIGTERM, and SIGKILL after GRACE_SECONDS. Standard library only: it starts in
20 ms. The exit status is the command's, 128 + n after signal n.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.1
PR_SET_CHILD_SUBREAPER = 36


def main(words: list[str]) -> int:
    """Runs the command until it ends or the pipe on standard input closes; then clears what it left."""
    _adopt_orphans()
    command = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
    while command.poll() is None:
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
    told: set[int] = set()
    while running := descendants(os.getpid()):
        is_late = time.monotonic() > deadline
        for process in running if is_late else running - told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL if is_late else signal.SIGTERM)
        told |= running
        time.sleep(POLL_SECONDS / 2)


def descendants(ancestor: int) -> set[int]:
    """Ids of the living processes below a process; zombies do not count."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(folder.name))
    found: set[int] = set()
    unseen = [ancestor]
    while unseen:
        below = children.get(unseen.pop(), [])
        found.update(below)
        unseen.extend(below)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
