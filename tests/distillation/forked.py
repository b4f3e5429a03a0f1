"""Real processes that compute together, forked from this one: nothing is imported again, so they begin at once."""

import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import distributed


def together(folder: Path, *works: Callable[[], Any]) -> list[Any]:
    """What each process of a group does by gloo, and what it returns, as JSON brings it back; by rank.

    If one fails, the others, which would wait for it, are ended.
    """
    folder.mkdir(exist_ok=True)
    running = [_forked(folder, rank, len(works), work) for rank, work in enumerate(works)]
    failed = []
    while running:
        pid = running.pop(0)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            running.append(pid)
            time.sleep(0.002)
        elif status:
            failed.append(os.waitstatus_to_exitcode(status))
            _end(running)
    assert not failed
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(len(works))]


def _end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _forked(folder: Path, rank: int, number: int, work: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        store = distributed.FileStore(str(folder / "store"), number)
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=number)
        (folder / f"{rank}.json").write_text(json.dumps(work()))
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)
