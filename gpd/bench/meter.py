"""Wall time and peak memory of a piece of work, in this process or in one of its own."""

import contextlib
import gc
import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from gpd.bench.printing import show_part
from gpd.documents.benchmarks import PartCost

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

T = TypeVar("T")


class Meter:
    """Measures one part after another.

    Attributes:
        parts: those that are done.
    """

    def __init__(self) -> None:
        self.parts: list[PartCost] = []

    def measure(self, name: str, work: Callable[[], T]) -> T:
        """Does a part of the work in this process."""
        forget_peak()
        started = time.perf_counter()
        result = work()
        self._note(name, started, peak_bytes())
        return result

    def measure_process(self, name: str, command: list[str]) -> None:
        """Runs a command.

        Raises:
            subprocess.CalledProcessError: it failed, and has said why.
        """
        forget_peak()  # a new process inherits its parent's peak
        started = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        self._note(name, started, usage.ru_maxrss * 1024)

    def _note(self, name: str, started: float, peak: int) -> None:
        self.parts.append(PartCost(name=name, seconds=time.perf_counter() - started, peak_bytes=peak))
        show_part(self.parts[-1])


def forget_peak() -> None:
    """Gives back what is not used, on the device too, and has the kernel count from here (Linux)."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")


def peak_bytes() -> int:
    """The most that was resident since `forget_peak`; since the process began where the kernel cannot forget."""
    with contextlib.suppress(OSError):
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
