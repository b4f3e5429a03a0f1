"""Processes beside this one: one a GPU, or one a core if there is none, each with its share of the parts."""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial

import torch

from gpd.artifacts import UserError

PROCESSES = "GPD_PROCESSES"


def num_workers(without_gpu: int | None = None) -> int:
    """How many processes share out a stage's work: GPD_PROCESSES of them, else one a GPU.

    Args:
        without_gpu: the number if there is no GPU; None: one a core, since a small network gains from a second process
            and not from a second thread.

    Raises:
        UserError: GPD_PROCESSES is not a number of processes.
    """
    asked = os.environ.get(PROCESSES, "")
    if asked and not (asked.isascii() and asked.isdigit() and int(asked) > 0):
        raise UserError(f"{PROCESSES}={asked}: expected a number of processes, 1 or more")
    return int(asked or 0) or torch.cuda.device_count() or without_gpu or len(os.sched_getaffinity(0))


def pick_device(worker: int = 0) -> str:
    """The worker's GPU; the CPU if there is none."""
    return f"cuda:{worker % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"


@contextlib.contextmanager
def companions(work: Callable[[int], None], number: int) -> Iterator[None]:
    """Runs work(1) .. work(number - 1) in processes of their own while the block does the work of 0.

    Raises:
        ChildProcessError: one of them failed; it has said why.
    """
    spawning = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    processes = [spawning.Process(target=partial(_tell_mistakes, work), args=(index,)) for index in range(1, number)]
    for process in processes:
        process.start()
    try:
        yield
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.terminate()  # only those that still run: the block failed
    if failed := [process.exitcode for process in processes if process.exitcode]:
        raise ChildProcessError(f"{len(failed)} of {number} processes failed with exit status {failed[0]}; see above")


def _tell_mistakes(work: Callable[[int], None], index: int) -> None:
    try:
        work(index)
    except UserError as error:
        print(f"gpd: {error}", file=sys.stderr)
        sys.exit(2)


def is_orphan() -> bool:
    """Was this process started by another one that is gone?"""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch's, whatever the machine: sums are taken in one order, and bytes do not vary."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
