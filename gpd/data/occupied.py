"""One process at a time for what a stage writes: a second one says who is at it, and ends or waits.

A lock is a file that the system unlocks when its process is gone, however it went. Beside it lies a note of who holds
it, which is only read while it is held.
"""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gpd.artifacts import WORK, UserError
from gpd.documents import Document
from gpd.documents.reading import parse_json

LOCKS = WORK / "locks"


class OccupiedError(UserError):
    """Another process is at the same work. Exit status 75: try again later (EX_TEMPFAIL of sysexits.h)."""

    status = 75


class Holder(Document):
    """Who holds a lock."""

    process: int
    host: str
    since: str
    command: str


@contextlib.contextmanager
def occupying(work: str, lock: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Holds a lock during the block.

    Args:
        work: what the lock stands for, for the message.
        on_wait: waits for another process that holds it, and is told first who that is.

    Raises:
        OccupiedError: another process holds it; it names that one's number, host, start and command.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        holder = f"{work}: {_describe(_note(lock))}"
        if on_wait is None:
            raise OccupiedError(f"{holder}; it was not started a second time") from None
        on_wait(holder)
        held.acquire()
    try:
        _note(lock).write_text(_me().model_dump_json(), encoding="utf-8")
        yield
    finally:
        _note(lock).unlink(missing_ok=True)
        held.release()


def output_lock(stage: str, part: str | None = None) -> Path:
    """Of a stage's output in this work tree; `part` "i/n" is that of one of several machines, which share the stage."""
    name = stage if part is None else f"{stage}-{part.replace('/', '-of-')}"
    return LOCKS / f"output-{re.sub(r'[^A-Za-z0-9@._+-]', '_', name):.100}.lock"


def work_lock(folder: Path) -> Path:
    """Of a folder of unfinished work, which several work trees may have in common."""
    return folder.with_name(f"{folder.name}.lock")


def is_held(lock: Path) -> bool:
    """Whether a living process holds it."""
    if not lock.is_file():
        return False
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        return True
    held.release()
    return False


def _note(lock: Path) -> Path:
    return lock.with_suffix(".json")


def _me() -> Holder:
    return Holder(
        process=os.getpid(),
        host=os.uname().nodename,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    )


def _describe(note: Path) -> str:
    with contextlib.suppress(OSError, ValueError):  # it has only just taken the lock
        holder = Holder.model_validate(parse_json(note.read_text(encoding="utf-8")))
        return f"process {holder.process} on {holder.host} is at it since {holder.since} ({holder.command})"
    return "another process is at it"
