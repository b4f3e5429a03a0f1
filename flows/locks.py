"""Locks between runs on one machine: files that the system unlocks when their last holder is gone.

A command goes on holding a lock after the flow that started it was killed: it inherits the descriptor. `FileLock` has
none to hand on, so the descriptor is ours and filelock locks it.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

from flows.process import StoppedError, is_stopping

POLL_SECONDS = 0.2


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Waits for the lock and holds it; yields its descriptor, for commands that must hold it too."""
    with first_free([path], on_wait) as (_, descriptor):
        yield descriptor


@contextmanager
def first_free(paths: list[Path], on_wait: Callable[[], None] = lambda: None) -> Iterator[tuple[int, int]]:
    """Waits for any of the locks and holds it; yields its position and descriptor."""
    while (found := take_any(paths)) is None:
        if is_stopping():
            raise StoppedError(f"waiting for {paths[0].name}: the flow is stopping")
        on_wait()
        on_wait = _quiet
        time.sleep(POLL_SECONDS)
    try:
        yield found
    finally:
        os.close(found[1])


def take_any(paths: list[Path]) -> tuple[int, int] | None:
    """Position and descriptor of the first lock that nobody holds; None if all are held."""
    for position, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if lock_descriptor(descriptor, blocking=False):
            return position, descriptor
        os.close(descriptor)
    return None


def _quiet() -> None:
    """Waiting is reported once."""
