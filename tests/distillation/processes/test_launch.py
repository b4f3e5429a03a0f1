import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gpd.artifacts import UserError
from gpd.distillation.processes import launch
from gpd.distillation.processes.launch import MISTAKES, Mistake
from tests.flows.waiting import wait_until

ROOT = Path(__file__).parents[3]


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


def test_one_process_that_fails_ends_all_with_its_line_and_status(tmp_path: Path) -> None:
    command = launched(tmp_path, "mistake")
    assert command.communicate()[1] == "gpd: params.yaml: a mistake of process 1\n"
    assert command.returncode == 2
    assert are_gone(pids(tmp_path))


def test_no_process_outlives_the_command(tmp_path: Path) -> None:
    command = launched(tmp_path, "sleep")
    under_way = pids(tmp_path)
    command.kill()
    assert command.wait() == -signal.SIGKILL
    assert are_gone(under_way)


def status_of(work: Callable[[], Any]) -> int:
    """The exit status of a forked process that does this; minus the number of the signal that ended it; 99 if none."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


LATER, FIRST = Mistake(2.0, "params.yaml: later", ""), Mistake(1.0, "params.yaml: first", "")
FAULT = Mistake(1.0, None, "Traceback: a fault\n")


@pytest.mark.parametrize(
    ("exit_codes", "mistakes", "status", "line"),
    [
        ({0: -15, 1: -9}, [LATER], 137, "gpd: process 1 was ended by SIGKILL\n"),  # the others were told to end
        ({0: -15, 1: -9}, [], 137, "gpd: process 1 was ended by SIGKILL\n"),
        ({0: -15, 1: 2}, [LATER, FIRST], None, "params.yaml: first"),
        ({0: -15, 1: 1}, [LATER, FAULT], 1, "Traceback: a fault\n"),
        ({0: -15, 1: -15}, [], 143, "gpd: process 0 was ended by SIGTERM\n"),
        ({1: 7, 0: 3}, [], 7, ""),  # as the launcher names them
    ],
)
def test_who_failed_first_is_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    exit_codes: dict[int, int],
    mistakes: list[Mistake],
    status: int | None,
    line: str,
) -> None:
    for number, mistake in enumerate(mistakes):
        (tmp_path / f"{number}.json").write_text(json.dumps(mistake))
    with pytest.raises(SystemExit if status else UserError) as raised:
        launch._tell(tmp_path, exit_codes)
    assert (raised.value.code if status else str(raised.value)) == (status or line)
    assert capsys.readouterr().err == (line if status else "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("params.yaml: wrong"), 2, "params.yaml: wrong"),
        (OSError(28, "No space left on device", "data/file"), 2, "data/file: No space left on device"),
        (OSError(28, "No space left on device"), 1, None),
        (ValueError("a fault"), 1, None),
    ],
)
def test_a_process_leaves_why_it_fails(tmp_path: Path, error: Exception, status: int, line: str | None) -> None:
    before = time.time()

    def fail() -> None:
        raise error

    def work() -> None:
        os.environ.update({"RANK": "1", "WORLD_SIZE": "2", MISTAKES: str(tmp_path)})
        launch.on_all_processes([], fail)

    assert status_of(work) == status
    (left,) = [Mistake(*json.loads(path.read_text())) for path in tmp_path.glob("*.json")]
    assert left.line == line
    assert str(error) in left.trace
    assert before <= left.when <= time.time()


@pytest.mark.parametrize(("code", "status"), [(5, 5), ("a word", 1)])
def test_a_process_of_several_ends_with_the_status_of_its_work(code: Any, status: int) -> None:
    def work() -> None:
        os.environ.update({"RANK": "0", "WORLD_SIZE": "2"})
        launch.on_all_processes([], lambda: sys.exit(code))

    assert status_of(work) == status


def test_without_parent_a_process_ends() -> None:
    assert status_of(lambda: launch._end_with_parent(0)) == 128 + signal.SIGHUP
    assert status_of(lambda: launch._stop_with_parent(0)) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("environment", "is_joined", "is_main", "is_first"),
    [
        ({}, False, True, True),
        ({"RANK": "1"}, False, False, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True, True, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, True, False, False),
        ({"RANK": "0", "WORLD_SIZE": "2", MISTAKES: "x"}, True, True, False),  # started by one that speaks itself
    ],
)
def test_who_is_who(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_joined: bool, is_main: bool, is_first: bool
) -> None:
    for name in ("RANK", "WORLD_SIZE", MISTAKES):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (launch.is_joined(), launch.is_main(), launch.is_first()) == (is_joined, is_main, is_first)


def test_alone_the_work_is_done_here_and_its_errors_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", MISTAKES, launch.DVC):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GPD_PROCESSES", "1")
    done: list[int] = []
    launch.on_all_processes([], lambda: done.append(1))
    assert done == [1]
    with pytest.raises(SystemExit, match="7"):
        launch.on_all_processes([], lambda: sys.exit(7))
    with pytest.raises(ZeroDivisionError):
        launch.on_all_processes([], lambda: 1 // 0)


def test_how_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GPD_PROCESSES", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    alone = launch.num_processes()
    assert alone == max(1, torch.cuda.device_count())
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


NOTE = "import os, sys, time; open(f'{sys.argv[1]}/pid-' + os.environ['RANK'], 'a').write(f'{os.getpid()} '); "
FIRST_SLEEPS = "os.environ['RANK'] == '1' or time.sleep(600); "
MISTAKE = "open(os.environ['GPD_MISTAKES'] + '/x.json', 'w').write('[1.0, \"params.yaml: wrong\", \"\"]'); sys.exit(2)"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A process that nobody has started; the launcher's handlers of signals are taken away afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for name in ("RANK", "WORLD_SIZE", MISTAKES, launch.DVC):
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    for number, handler in before.items():
        signal.signal(number, handler)


def test_each_process_is_started_once_and_the_work_is_theirs(alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alone.setenv("GPD_PROCESSES", "2")
    done: list[int] = []
    launch.on_all_processes(["-c", NOTE, str(tmp_path)], lambda: done.append(1))
    assert (len(pids(tmp_path)), done) == (2, [])
    assert (MISTAKES in os.environ, logging.root.manager.disable) == (False, logging.NOTSET)


@pytest.mark.parametrize(
    ("then", "ends", "line"),
    [
        ("os.kill(os.getpid(), 9)", (SystemExit, "137"), "gpd: process 1 was ended by SIGKILL\n"),
        (MISTAKE, (UserError, "params.yaml: wrong"), ""),
    ],
)
def test_a_process_that_fails_is_not_started_again_and_ends_the_others(
    alone: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    then: str,
    ends: tuple[type[BaseException], str],
    line: str,
) -> None:
    with pytest.raises(ends[0], match=f"^{ends[1]}$"):
        launch.start(["-c", NOTE + FIRST_SLEEPS + then, str(tmp_path)], 2)
    assert are_gone(pids(tmp_path))  # each was started once: otherwise a file has several numbers
    assert capsys.readouterr().err == line
    assert not caplog.records  # the launcher's words
    assert MISTAKES not in os.environ


def test_a_signal_to_whoever_started_them_ends_all(alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    has_ended = threading.Event()

    def tell() -> None:
        """Once the processes run, and the launcher hears."""
        while not has_ended.wait(0.02):
            if len(list(tmp_path.iterdir())) == 2 and callable(signal.getsignal(signal.SIGTERM)):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=tell).start()
    try:
        with pytest.raises(SystemExit) as ended:
            launch.start(["-c", NOTE + "time.sleep(600)", str(tmp_path)], 2)
    finally:
        has_ended.set()
    assert ended.value.code == 128 + signal.SIGTERM
    assert are_gone(pids(tmp_path))


@pytest.mark.parametrize(
    ("environment", "watched"),
    [
        ({}, []),
        ({launch.DVC: "distill@k4"}, ["_stop_with_parent"]),
        ({"RANK": "0", "WORLD_SIZE": "1"}, ["_end_with_parent"]),
        ({"RANK": "0", "WORLD_SIZE": "1", launch.DVC: "distill@k4"}, ["_end_with_parent"]),
    ],
)
def test_who_watches_what_started_it(
    alone: pytest.MonkeyPatch, environment: dict[str, str], watched: list[str]
) -> None:
    """By a thread that holds nobody up. What it would do is end this very process, so here it says what it would."""
    alone.setenv("GPD_PROCESSES", "1")
    for name, value in environment.items():
        alone.setenv(name, value)
    seen: list[tuple[str, int, bool]] = []
    for name in ("_stop_with_parent", "_end_with_parent"):

        def watch(parent: int, name: str = name) -> None:
            seen.append((name, parent, threading.current_thread().daemon))

        alone.setattr(launch, name, watch)
    done: list[int] = []
    launch.on_all_processes([], lambda: done.append(1))
    assert done == [1]
    for thread in threading.enumerate():
        if thread.name.endswith("(watch)"):
            thread.join()
    assert seen == [(name, os.getppid(), True) for name in watched]


def test_what_was_written_is_there_when_a_process_ends_at_once(tmp_path: Path) -> None:
    def work() -> None:
        with (tmp_path / "out").open("w") as sys.stdout, (tmp_path / "err").open("w") as sys.stderr:
            print("words")
            print("errors", file=sys.stderr)
            launch._end(5)

    assert status_of(work) == 5
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == ("words\n", "errors\n")
