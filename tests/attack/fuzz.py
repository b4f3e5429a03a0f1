"""Every reader on input that is nearly valid, or means harm: an object, or a refusal of one line, in bounds.

A reader that raises anything else, takes longer than MAX_SECONDS or more than MAX_BYTES, or dies, is a defect.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, settings

from tests.attack import miniature
from tests.attack.campaign import Campaign, Result
from tests.attack.command import import_all
from tests.attack.readers import Reader, all_readers

TOLD = "inputs read or refused with one line, in bounded time and memory"
MAX_SECONDS = 5
MAX_BYTES = 2**30
CASES_AT_ONCE = 200  # by one reader, in a process of its own


def run(campaign: Campaign, folder: Path) -> str:
    import_all()
    readers = all_readers(miniature.make(folder / "miniature"))
    number = 0
    while campaign.has_time and number < 100:
        campaign.run((f"{name}:{number:03d}" for name in readers), lambda case: attack(case, readers, folder, campaign))
        number += 1
    return TOLD


def attack(case: str, readers: dict[str, Reader], folder: Path, campaign: Campaign) -> Result:
    """A reader on CASES_AT_ONCE inputs in a forked process, which may die."""
    name, number = case.rsplit(":", 1)
    told = folder / "told.json"
    told.unlink(missing_ok=True)
    sys.stdout.flush()
    process = os.fork()
    if not process:
        status = 70
        try:
            place = folder / "fuzz"
            shutil.rmtree(place, ignore_errors=True)
            _bound_memory()
            counts, defect = try_reader(readers[name], place, CASES_AT_ONCE, seed=campaign.seed + 1000 * int(number))
            told.write_text(json.dumps({"counts": counts, "defect": defect}))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(process, 0)
    if not told.exists():
        return Result("reader died", f"{name}: wait status {status}")
    found = json.loads(told.read_text())
    outcome = "batches with a defect" if found["defect"] else "batches"
    return Result(outcome, found["defect"], found["counts"])


def try_reader(reader: Reader, folder: Path, number: int, *, seed: int) -> tuple[Counter[str], str]:
    """Feeds a reader; returns how many inputs were read and refused, and the smallest input that it failed on."""
    counts: Counter[str] = Counter()

    @hypothesis.seed(seed)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        print_blob=False,
        report_multiple_bugs=False,
    )
    @hypothesis.given(reader.inputs)
    def feed(given: Any) -> None:
        counts[_feed(reader, given, folder)] += 1

    try:
        feed()
    except BaseException as error:  # noqa: BLE001 - whatever a reader raises is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        notes = " ".join(getattr(error, "__notes__", []))
        text = f"{type(error).__name__}: {error} at {where.filename}:{where.lineno}; {notes}"
        return counts, ascii(text)[:1500]
    return counts, ""


def _feed(reader: Reader, given: Any, folder: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with contextlib.chdir(folder), _in_time():
        try:
            reader.read(given)
        except reader.refuses as error:
            lines = str(error).split("\n")
            assert all(line.isprintable() or not _steers(line) for line in lines), lines
            assert sum(map(len, lines)) < 20_000, f"{sum(map(len, lines))} characters"
            return "inputs refused"
    return "inputs read"


def _steers(line: str) -> bool:
    """Whether a terminal would take a part of a message for a command."""
    return any(ord(char) < 32 or ord(char) == 127 for char in line if char != "\t")


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"took more than {MAX_SECONDS} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)  # of this process' own time: the machine may be busy
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _bound_memory() -> None:
    """More than MAX_BYTES beyond what there is now is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
