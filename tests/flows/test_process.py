"""Commands as processes: what they say arrives, how they end is told, and none of them is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import process

TREE = "sleep 300 & echo $! >> pids; (setsid sleep 300 & echo $! >> pids); echo $$ >> pids; echo started; sleep 300"
STUBBORN = "trap '' TERM; echo $$ >> pids; echo started; while true; do sleep 1; done"


@pytest.fixture(autouse=True)
def _start_again() -> Iterator[None]:
    process.start_again()
    yield
    process.start_again()


def run(script: str, folder: Path, on_lines: process.OnLines = lambda lines: None) -> list[str]:
    return process.run_command(["sh", "-c", script], cwd=folder, env=process.environment(), on_lines=on_lines)


def pids(folder: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = (folder / "pids").read_text().split() if (folder / "pids").exists() else []
        if len(found) >= count:
            return [int(pid) for pid in found]
        time.sleep(0.05)
    raise AssertionError("the processes did not start")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_within(processes: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(map(is_alive, processes)):
            return True
        time.sleep(0.05)
    return False


def test_lines_of_both_streams_arrive_whole(tmp_path: Path) -> None:
    seen: list[str] = []
    last = run("printf 'one\\ntw'; sleep 0.5; printf 'o\\n\\n'; echo three >&2; printf four", tmp_path, seen.extend)
    assert seen == last == ["one", "two", "three", "four"]


def test_many_lines_arrive_in_few_batches(tmp_path: Path) -> None:
    batches: list[int] = []
    last = run("seq 20000", tmp_path, lambda lines: batches.append(len(lines)))
    assert sum(batches) == 20000
    assert len(batches) < 20
    assert last[-1] == "20000"
    assert len(last) == process.LINES_KEPT


def test_a_failure_carries_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(process.StageFailedError, match="no such key") as caught:
        run("echo hello; echo no such key >&2; exit 2", tmp_path)
    assert (caught.value.exit_status, caught.value.last_lines) == (2, ["hello", "no such key"])


def test_a_killed_command_is_told_by_its_signal(tmp_path: Path) -> None:
    with pytest.raises(process.StageFailedError) as caught:
        run("kill -9 $$", tmp_path)
    assert caught.value.exit_status == 128 + signal.SIGKILL


def test_what_a_command_leaves_running_is_ended(tmp_path: Path) -> None:
    run("sleep 300 & echo $! >> pids", tmp_path)
    assert gone_within(pids(tmp_path, 1), 1)


def test_an_exception_while_it_runs_ends_the_tree(tmp_path: Path) -> None:
    def interrupt(lines: list[str]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(TREE, tmp_path, interrupt)
    assert gone_within(pids(tmp_path, 3), 1)


def test_stopping_ends_what_runs_in_a_thread_and_starts_nothing_more(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            run(TREE, tmp_path)
        except process.StoppedError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    processes = pids(tmp_path, 3)
    process.stop_all()
    thread.join(10)
    assert caught
    assert gone_within(processes, 1)
    with pytest.raises(process.StoppedError, match="not started"):
        run("true", tmp_path)


@pytest.mark.parametrize(("script", "count", "seconds"), [(TREE, 3, 3.0), (STUBBORN, 1, 8.0)], ids=["tree", "stubborn"])
def test_a_killed_flow_leaves_no_orphan(tmp_path: Path, script: str, count: int, seconds: float) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.process import environment, run_command\n"
        "run_command(['sh', '-c', sys.argv[1]], cwd=Path(sys.argv[2]), env=environment(), on_lines=print)"
    )
    flow = subprocess.Popen([sys.executable, "-c", code, script, str(tmp_path)], cwd=Path(__file__).parents[2])
    processes = pids(tmp_path, count)
    flow.kill()
    flow.wait()
    assert gone_within(processes, seconds)


def test_a_supervisor_that_is_asked_to_end_ends_the_command_first(tmp_path: Path) -> None:
    words = [sys.executable, str(process.SUPERVISOR), "sh", "-c", TREE]
    supervisor = subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.PIPE)
    processes = pids(tmp_path, 3)
    supervisor.terminate()
    assert supervisor.wait(10) == 128 + signal.SIGTERM
    assert not any(map(is_alive, processes))


def test_a_held_lock_is_free_only_when_the_tree_is_gone(tmp_path: Path) -> None:
    code = (
        "import fcntl, sys; from pathlib import Path; from flows.process import environment, run_command\n"
        "lock = open('lock', 'w'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "held = [lock.fileno()]\n"
        "run_command(['sh', '-c', sys.argv[1]], cwd=Path.cwd(), env=environment(), on_lines=print, held=held)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    flow = subprocess.Popen([sys.executable, "-c", code, STUBBORN], cwd=tmp_path, env=environment)
    (stubborn,) = pids(tmp_path, 1)
    flow.kill()
    flow.wait()
    subprocess.run(["flock", "lock", "true"], cwd=tmp_path, check=True)
    assert not is_alive(stubborn)
