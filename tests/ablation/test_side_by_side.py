"""Whatever ends an ablation ends its runs: nothing trains on unseen, nothing that was waiting begins."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from gpd.ablation.side_by_side import run_all

PROGRAM = """
import signal, sys
from pathlib import Path
from tests.ablation.test_side_by_side import calls_of
from gpd.ablation.side_by_side import run_all

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run_all("sleep", calls_of(Path(sys.argv[1])), 1)
"""


def write(path: Path, words: str) -> None:
    path.write_text(words)


def note_and_sleep(begun: Path) -> None:
    begun.touch()
    time.sleep(600)


def fail() -> None:
    raise ValueError("it fell over")


def calls_of(folder: Path) -> dict[str, partial[None]]:
    return {name: partial(note_and_sleep, folder / name) for name in ("first", "second")}


def begin(folder: Path) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """A process that runs two calls one after the other, and its processes, when the first call has begun."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)])
    while not (folder / "first").exists():
        assert process.poll() is None
        time.sleep(0.05)
    return process, psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_stop_is_one_for_every_call(number: int, status: int, tmp_path: Path) -> None:
    process, children = begin(tmp_path)
    assert children
    process.send_signal(number)
    assert process.wait() == status  # and does not wait for a call of ten minutes
    _, left = psutil.wait_procs(children, timeout=120)
    assert not left
    assert not (tmp_path / "second").exists()


def test_a_call_that_fails_is_a_line_and_the_others_are_finished(tmp_path: Path) -> None:
    calls = {"bad": fail} | {str(n): partial(write, tmp_path / str(n), "done") for n in range(3)}
    assert run_all("try", calls, 2) == ["try: bad: it fell over"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
