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
from collections.abc import Iterator
from pathlib import Path

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.1
PR_SET_CHILD_SUBREAPER = 36


def main(words: list[str]) -> int:
    """Runs the command until it ends, standard input closes or a signal asks us to end; then clears what it left."""
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
    for process, parent, state in _listed() if Path("/proc/self/stat").exists() else _listed_by_ps():
        if not state.startswith("Z"):
            children.setdefault(parent, []).append(process)
    found: set[int] = set()
    unseen = [ancestor]
    while unseen:
        below = children.get(unseen.pop(), [])
        found.update(below)
        unseen.extend(below)
    return found


def _listed() -> Iterator[tuple[int, int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            yield int(folder.name), int(parent), state


def _listed_by_ps() -> Iterator[tuple[int, int, str]]:
    """Where there is no /proc (macOS). The listing itself is one of our children and gone when it is read."""
    lister = subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,stat="], stdout=subprocess.PIPE, text=True)
    listing, _ = lister.communicate()
    rows = (line.split() for line in listing.splitlines())
    yield from ((int(process), int(parent), state) for process, parent, state in rows if int(process) != lister.pid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
