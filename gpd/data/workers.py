"""Processes beside this one: one a GPU, or one a core if there is none, each with its share of the parts."""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial

import torch

from gpd.artifacts import UserError
from gpd.data.environment import number_from

PROCESSES = "GPD_PROCESSES"


def num_workers(without_gpu: int | None = None) -> int:
    """How many processes share out a stage's work: GPD_PROCESSES of them, else one a GPU.

    Args:
        without_gpu: the number if there is no GPU; None: one a core, since a small network gains from a second process
            and not from a second thread.

    Raises:
        UserError: GPD_PROCESSES is no number, or there are fewer GPUs.
    """
    asked, devices = number_from(PROCESSES), torch.cuda.device_count()
    if asked and devices and asked > devices:
        raise UserError(f"{PROCESSES}={asked} is more than the {devices} visible GPUs")
    return asked or devices or without_gpu or len(os.sched_getaffinity(0))


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


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch's, whatever the machine: sums are taken in one order, and bytes do not vary."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
