"""Signals to real processes: all save, all end in time, and the same command ends with the same bits."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from gpd.distillation.distill import forget
from gpd.distillation.processes import launch
from gpd.distillation.processes.stopping import SIGNALS, Stop, StoppedError
from gpd.distillation.saving.train_state import MARKER
from tests.distillation.forked import together
from tests.distillation.some_processes import ITERATIONS, SLOW_IMPORTS, Ended, run
from tests.distillation.stoppable import PAUSE, meet, work
from tests.patience import ends_within

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Ended]:
    """What one and what two processes end with, without a stop."""
    return {number: run(number, tmp_path_factory.mktemp("whole"), "full")[0]["full"] for number in (1, 2)}


def wait_until_trained(folder: Path, number: int) -> None:
    """Returns at some moment after all processes have done an iteration."""
    while len(list(folder.glob("done-*"))) < number:
        time.sleep(0.05)
    time.sleep(random.uniform(0, 3 * PAUSE))


def is_running(pid: int) -> bool:
    """Whether it has not ended; here nobody may wait for orphans."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def check_what_is_left(folder: Path, number: int, told: signal.Signals) -> None:
    """A whole train state of what all have done, run records and no process."""
    pids = [int(path.read_text()) for path in folder.glob("pid-*")]
    assert len(pids) == number
    assert not any(map(is_running, pids))
    saved = json.loads((folder / "full" / MARKER).read_text())
    assert 1 <= saved["iteration"] < ITERATIONS
    assert len(saved["files"]) == number
    assert {path.read_text() for path in folder.glob("done-*")} == {str(saved["iteration"])}
    kept = [json.loads(path.read_text()) for path in folder.glob(".work/runs/*.json")]
    assert {record["exit_code"] for record in kept} == {128 + told}
    assert all(told.name in record["error"] for record in kept)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_first_and_the_rerun_ends_with_the_same_bits(
    whole: dict[int, Ended], tmp_path: Path, told: signal.Signals
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.distillation.some_processes", *SLOW_IMPORTS])
    process = context.Process(target=work, args=(tmp_path,))
    process.start()
    wait_until_trained(tmp_path, 1)
    assert process.pid
    os.kill(process.pid, told)
    process.join()
    assert process.exitcode == 128 + told
    check_what_is_left(tmp_path, 1, told)
    assert run(1, tmp_path, "full")[0]["full"] == whole[1]


@pytest.mark.parametrize("whom", ["the command", "one process"])
def test_all_processes_save_when_one_is_told(whole: dict[int, Ended], tmp_path: Path, whom: str) -> None:
    environment = {**os.environ, "GPD_PROCESSES": "2", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "tests.distillation.stoppable", str(tmp_path)]
    command = subprocess.Popen(words, env=environment, cwd=ROOT)
    wait_until_trained(tmp_path, 2)
    with ends_within(10, command):
        os.kill(command.pid if whom == "the command" else int((tmp_path / "pid-1").read_text()), signal.SIGTERM)
        assert command.wait() == 128 + signal.SIGTERM
    check_what_is_left(tmp_path, 2, signal.SIGTERM)
    assert run(2, tmp_path, "full")[0]["full"] == whole[2]


def test_a_stage_does_not_outlive_dvc(tmp_path: Path) -> None:
    """`kill -9` of `dvc repro`, whose place a process takes here that starts the stage and waits."""
    environment = {**os.environ, "GPD_PROCESSES": "1", "PYTHONPATH": str(ROOT), launch.DVC: "distill@toy"}
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'tests.distillation.stoppable', sys.argv[1]])"
    dvc = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment, cwd=ROOT)
    wait_until_trained(tmp_path, 1)
    dvc.kill()
    dvc.wait()
    pid = int((tmp_path / "pid-0").read_text())
    while is_running(pid):
        time.sleep(0.1)
    check_what_is_left(tmp_path, 1, signal.SIGTERM)


def test_a_process_that_waits_for_one_that_is_gone_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.distillation.some_processes", *SLOW_IMPORTS])
    process = context.Process(target=meet, args=(tmp_path,))
    process.start()
    while not (tmp_path / "pid-1").exists():
        time.sleep(0.05)
    time.sleep(1.0)  # most often it is in the library then, which hears nothing; wherever it is, it ends
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join()
    assert process.exitcode == 128 + signal.SIGTERM


def test_a_train_state_goes_with_its_marker_or_stays_whole(tmp_path: Path) -> None:
    state = tmp_path / "k4" / "at-5" / "part-0-of-1.safetensors"
    state.parent.mkdir(parents=True)
    state.touch()
    (tmp_path / "k4" / MARKER).mkdir()  # so that it cannot be unlinked
    forget(tmp_path / "k4")
    assert state.exists()
    (tmp_path / "k4" / MARKER).rmdir()
    (tmp_path / "k4" / MARKER).touch()
    forget(tmp_path / "k4")
    assert not (tmp_path / "k4").exists()


def test_only_iterations_put_a_signal_off() -> None:
    stop, done = Stop(), []
    for iteration in stop.put_off(range(9)):
        if iteration == 3:
            stop.hear(signal.SIGTERM)
            stop.hear(signal.SIGINT)  # a second one changes nothing
        done.append(iteration)
        if stop.is_agreed():
            break
    assert done == [0, 1, 2, 3]
    with pytest.raises(StoppedError, match="stopped by SIGTERM there") as stopped:
        stop.end("there")
    assert stopped.value.code == 143
    with pytest.raises(StoppedError) as at_once:
        Stop().hear(signal.SIGINT)
    assert at_once.value.code == 130


def test_before_and_after_the_iterations_a_signal_ends_all_at_once() -> None:
    stop = Stop()
    assert list(stop.put_off(range(2))) == [0, 1]
    with pytest.raises(StoppedError, match="stopped by SIGTERM before its iterations or after them"):
        stop.hear(signal.SIGTERM)
    with pytest.raises(StoppedError, match="later"):
        stop.check("later")
    Stop().check("never told")


def test_signals_come_while_it_listens_and_go_where_they_went_before() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in SIGNALS]

    before, stop = handlers(), Stop()

    def listen() -> None:
        with stop.listening():
            assert handlers() == [stop.hear] * len(SIGNALS)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError):
        listen()
    assert handlers() == before


@pytest.mark.parametrize("told", SIGNALS)
def test_all_processes_hear_in_the_same_iteration_what_one_was_told(tmp_path: Path, told: signal.Signals) -> None:
    def process(told_in: int) -> Callable[[], object]:
        def work() -> object:
            stop, heard = Stop(), []
            for iteration in stop.put_off(range(4)):
                if iteration == told_in:
                    stop.hear(told)
                heard.append(stop.is_agreed())
            return [heard, stop.number]

        return work

    heard = [[False, False, True, True], told]
    assert together(tmp_path, process(2), process(9), process(3)) == [heard] * 3


def test_the_first_to_end_takes_the_others_along(tmp_path: Path) -> None:
    """Told when the last iteration is over, so that nobody else has heard of it."""

    def process(number: int) -> Callable[[], object]:
        def work() -> object:
            stop = Stop()
            for _ in stop.put_off(range(1)):
                stop.is_agreed()
                if number:
                    stop.hear(number)
            try:
                stop.end("there")
            except StoppedError as stopped:
                return stopped.code
            return None

        return work

    assert together(tmp_path, process(0), process(signal.SIGINT)) == [130, 130]
    assert together(tmp_path / "nobody", process(0), process(0)) == [None, None]
