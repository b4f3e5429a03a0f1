"""Waiting as long as something moves: a machine may be slow, but not still."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

STILL_SECONDS = 300
SECONDS_BETWEEN_LOOKS = 30  # a look goes through all files of the machines
POLL_SECONDS = 0.2
SERVER_POLL_SECONDS = 1.0  # each question costs the server what it costs to answer it


def wait_until(
    is_so: Callable[[], Any],
    moves: Callable[[], object] = lambda: None,
    told: Callable[[], str] = lambda: "",
    every: float = POLL_SECONDS,
) -> Any:
    """Polls until something has come about; what it was.

    Args:
        moves: a value that changes as long as there is progress.
        told: what a failure says.
        every: seconds between two looks.

    Raises:
        AssertionError: nothing has moved for STILL_SECONDS.
    """
    seen, looked = moves(), time.monotonic()
    end = looked + STILL_SECONDS
    while not (found := is_so()):
        if time.monotonic() > looked + SECONDS_BETWEEN_LOOKS:
            now, looked = moves(), time.monotonic()
            end = end if now == seen else looked + STILL_SECONDS
            seen = now
        assert time.monotonic() < end, f"nothing has moved for {STILL_SECONDS} s: {told()}"
        time.sleep(every)
    return found


def growth(*folders: Path) -> tuple[int, int, float]:
    """How many files there are, their bytes, and when the last of them was written: lines of logs, train states, .."""
    found = [status for folder in folders for status in _statuses(folder)]
    return len(found), sum(one.st_size for one in found), max((one.st_mtime for one in found), default=0.0)


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield (Path(place) / name).lstat()


@contextmanager
def paused(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Holds processes still during the block, so that they are in the middle of their work however fast they are."""
    held = list(processes)
    for process in held:
        process.suspend()
    try:
        yield
    finally:
        for process in held:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process has not ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
