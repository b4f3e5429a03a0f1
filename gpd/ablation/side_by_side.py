"""Calls side by side, each in a process of its own; a stop of this process is a stop of theirs."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice

from gpd.data.orphans import end_with_parent
from gpd.progress import progress_bar


def run_all(title: str, calls: Mapping[str, Callable[[], None]], at_once: int) -> list[str]:
    """One line for each call that failed; the others are finished all the same.

    Args:
        calls: what can be pickled, by a name for people.
    """
    waiting, failures = iter(calls.items()), []
    spawning = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with (
        progress_bar(title, len(calls)) as advance,
        ProcessPoolExecutor(at_once, spawning, initializer=end_with_parent, max_tasks_per_child=1) as pool,
        _ending_children(),
    ):
        # No more than can run: the pool would begin what it was given, even after this process was told to end.
        running = {pool.submit(call): name for name, call in islice(waiting, at_once)}
        num_done = 0
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name, error = running.pop(future), future.exception()
                failures += [] if error is None else [f"{title}: {name}: {error}"]
                num_done += 1
                advance(num_done, name)
            running |= {pool.submit(call): name for name, call in islice(waiting, at_once - len(running))}
    return failures


@contextlib.contextmanager
def _ending_children() -> Iterator[None]:
    """If the block is ended, so are its processes, by SIGTERM: a training saves first."""
    try:
        yield
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
