"""Wall time and peak memory of a piece of work, in this process or in one of its own."""

import contextlib
import gc
import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from gpd.artifacts import write_text
from gpd.bench.printing import show_part
from gpd.documents import Document
from gpd.documents.benchmarks import PartCost

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

T = TypeVar("T")


class Done(Document):
    """A line of the journal: a part, and what came of it as JSON."""

    part: PartCost
    result: Any = None


class Meter:
    """Measures one part after another. What its journal has already is not done again.

    Args:
        journal: a file of one line a part, after one that says what is measured; it begins anew if that has changed.
        subject: that line.

    Attributes:
        parts: those that are done.
    """

    def __init__(self, journal: Path, subject: str) -> None:
        self.parts: list[PartCost] = []
        self.journal = journal
        lines = journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []
        if lines[:1] != [subject]:
            lines = [subject]
            write_text(journal, f"{subject}\n")
        self.done = {done.part.name: done for done in map(Done.model_validate_json, lines[1:])}

    def measure(self, name: str, work: Callable[[], T], read: Callable[[Any], T] | None = None) -> T:
        """Does a part of the work in this process.

        Args:
            read: makes the result of its JSON; None if it is a JSON value itself.
        """
        if name in self.done:
            found = self._again(name)
            return found if read is None else read(found)
        forget_peak()
        started = time.perf_counter()
        result = work()
        self._note(name, started, peak_bytes(), result)
        return result

    def measure_process(self, name: str, command: list[str]) -> None:
        """Runs a command.

        Raises:
            subprocess.CalledProcessError: it failed, and has said why.
        """
        if name in self.done:
            self._again(name)
            return
        forget_peak()  # a new process inherits its parent's peak
        started = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        self._note(name, started, usage.ru_maxrss * 1024)

    def _again(self, name: str) -> Any:
        done = self.done[name]
        self.parts.append(done.part)
        show_part(done.part)
        return done.result

    def _note(self, name: str, started: float, peak: int, result: Any = None) -> None:
        part = PartCost(name=name, seconds=time.perf_counter() - started, peak_bytes=peak)
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(f"{Done(part=part, result=result).model_dump_json()}\n")
        self.parts.append(part)
        show_part(part)


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
