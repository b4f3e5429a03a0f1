"""Commands as processes: what they say arrives, how they end is told, and none of them is left behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows import locks, process
from tests.flows.waiting import growth, is_alive, wait_until

TREE = "sleep 300 & echo $! >> pids; (setsid sleep 300 & echo $! >> pids); echo $$ >> pids; echo started; sleep 300"
STUBBORN = "trap '' TERM; echo $$ >> pids; echo started; while true; do sleep 1; done"


@pytest.fixture(autouse=True)
def _start_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GPD_GRACE_SECONDS", "5")  # one of these commands does not heed SIGTERM
    process.start_again()
    yield
    process.start_again()


def run(script: str, folder: Path, on_lines: process.OnLines = lambda lines: None) -> list[str]:
    return process.run_command(["sh", "-c", script], cwd=folder, env=process.environment(), on_lines=on_lines)


def started(folder: Path, count: int) -> list[psutil.Process]:
    """The processes that wrote their ids, once there are so many."""
    file = folder / "pids"
    wait_until(lambda: file.exists() and len(file.read_text().split()) >= count, lambda: growth(folder))
    return [psutil.Process(int(pid)) for pid in file.read_text().split()]


def living(folder: Path) -> list[int]:
    """The ids of those that have not ended."""
    pids = map(int, (folder / "pids").read_text().split())
    return [pid for pid in pids if psutil.pid_exists(pid) and is_alive(psutil.Process(pid))]


def wait_until_gone(processes: list[psutil.Process]) -> None:
    wait_until(lambda: not any(map(is_alive, processes)))


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
    assert not living(tmp_path)


def test_an_exception_while_it_runs_ends_the_tree(tmp_path: Path) -> None:
    def interrupt(lines: list[str]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(TREE, tmp_path, interrupt)
    assert len((tmp_path / "pids").read_text().split()) == 3
    assert not living(tmp_path)


def test_stopping_ends_what_runs_in_a_thread_and_starts_nothing_more(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            run(TREE, tmp_path)
        except process.StoppedError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    processes = started(tmp_path, 3)
    process.stop_all()
    thread.join()
    assert caught
    wait_until_gone(processes)
    with pytest.raises(process.StoppedError, match="not started"):
        run("true", tmp_path)


@pytest.mark.parametrize(("script", "count"), [(TREE, 3), (STUBBORN, 1)], ids=["tree", "stubborn"])
def test_a_killed_flow_leaves_no_orphan(tmp_path: Path, script: str, count: int) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.process import environment, run_command\n"
        "run_command(['sh', '-c', sys.argv[1]], cwd=Path(sys.argv[2]), env=environment(), on_lines=print)"
    )
    flow = subprocess.Popen([sys.executable, "-c", code, script, str(tmp_path)], cwd=Path(__file__).parents[2])
    processes = started(tmp_path, count)
    flow.kill()
    flow.wait()
    wait_until_gone(processes)


def test_a_supervisor_that_is_asked_to_end_ends_the_command_first(tmp_path: Path) -> None:
    words = [sys.executable, str(process.SUPERVISOR), "sh", "-c", TREE]
    supervisor = subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.PIPE)
    processes = started(tmp_path, 3)
    supervisor.terminate()
    assert supervisor.wait() == 128 + signal.SIGTERM
    assert not any(map(is_alive, processes))


def test_a_held_lock_is_free_only_when_the_tree_is_gone(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from flows import locks\n"
        "from flows.process import environment, run_command\n"
        "with locks.locked(Path('lock')) as held:\n"
        "    words = ['sh', '-c', sys.argv[1]]\n"
        "    run_command(words, cwd=Path.cwd(), env=environment(), on_lines=print, held=[held])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    flow = subprocess.Popen([sys.executable, "-c", code, STUBBORN], cwd=tmp_path, env=environment)
    (stubborn,) = started(tmp_path, 1)
    flow.kill()
    flow.wait()
    with locks.locked(tmp_path / "lock"):
        assert not is_alive(stubborn)
