import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.distillation import launch
from tests.flows.waiting import wait_until

ROOT = Path(__file__).parents[2]


def launched(folder: Path, what: str) -> "subprocess.Popen[str]":
    """Two processes under way."""
    environment = {**os.environ, "GPD_PROCESSES": "2", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "tests.distillation.launched", str(folder), what]
    return subprocess.Popen(words, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def pids(folder: Path) -> list[int]:
    """Of both processes, once they have begun."""
    while len(texts := [path.read_text() for path in folder.glob("pid-*")]) < 2 or not all(texts):
        time.sleep(0.05)
    return [int(text) for text in texts]


def are_gone(processes: list[int]) -> bool:
    """Whether they end."""
    return bool(wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes)))


@pytest.mark.parametrize(
    ("what", "status", "line"),
    [
        ("mistake", 2, "gpd: params.yaml: a mistake of process 1\n"),
        ("die", 128 + signal.SIGKILL, "gpd: process 1 was ended by SIGKILL\n"),
    ],
)
def test_one_process_that_fails_ends_all_with_its_line_and_status(
    tmp_path: Path, what: str, status: int, line: str
) -> None:
    command = launched(tmp_path, what)
    assert command.communicate()[1] == line
    assert command.returncode == status
    assert are_gone(pids(tmp_path))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -9)])
def test_no_process_outlives_the_command(tmp_path: Path, number: signal.Signals, status: int) -> None:
    command = launched(tmp_path, "sleep")
    under_way = pids(tmp_path)
    command.send_signal(number)
    assert command.wait() == status
    assert are_gone(under_way)


def test_how_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GPD_PROCESSES", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    alone = launch.num_processes()
    monkeypatch.setenv("GPD_PROCESSES", "1")
    assert launch.num_processes() == 1 <= alone
    for text in ("0", "-1", "two", "1.5", "²"):
        monkeypatch.setenv("GPD_PROCESSES", text)
        with pytest.raises(UserError, match=f"GPD_PROCESSES='{text}' must be a whole number above 0"):
            launch.num_processes()
    monkeypatch.setenv("RANK", "3")  # torchrun's variables are stronger
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert launch.num_processes() == 8
    assert launch.is_joined()
    assert not launch.is_main()
