"""Faults at the edge of the file system: one call of os in a row of calls fails, or the process dies before it."""

import contextlib
import errno
import multiprocessing
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CALLS = ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink")
DIED = 9


@contextlib.contextmanager
def fault(number: int, happen: Callable[[], Any], *, for_good: bool = False) -> Iterator[list[str]]:
    """Lets `happen` come before the call of this number, from 0; the list fills with the calls that were made.

    Args:
        for_good: before all later calls too. With `fail` that is as good as dead, and cheaper than a process.
    """
    made: list[str] = []

    def watch(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            if len(made) == number + 1 or (for_good and len(made) > number):
                happen()
            return call(*args, **kwargs)

        return watched

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, watch(name, getattr(os, name)))
        yield made


def fail() -> None:
    """As a broken disk."""
    raise OSError(errno.EIO, "planted fault")


def die() -> None:
    """As a kill or a power cut."""
    os._exit(DIED)


def number_of_calls(work: Callable[[], object]) -> int:
    """How many calls can go wrong in `work`."""
    with fault(-1, fail) as made:
        work()
    return len(made)


def dies(number: int, work: Callable[[], object]) -> bool:
    """Runs `work` in a process of its own that dies before a call; false if it has ended before."""

    def run() -> None:
        with fault(number, die):
            work()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode in (0, DIED)
    return process.exitcode == DIED
