"""Stopped in the middle and recovered: by a killed worker, by a person, by a server that restarts, by a failure."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from signal import SIGSEGV

import psutil
import pytest

from flows.distill import distill
from gpd.progress import SECONDS_BETWEEN_LINES
from tests.flows.conftest import STAGE, STUDENT, TRAINING, Machine, Server
from tests.flows.waiting import POLL_SECONDS, is_alive, paused, wait_until

ENDLESS = 100_000  # iterations of a training that somebody ends
RATE, ITERATIONS = (f"distill.stages.{STUDENT}.{key}" for key in ("learning_rate", "iterations"))
# One training that several runs share: it saves every second, and each of them is interrupted at its first train state.
LONG = {"overrides": {ITERATIONS: ENDLESS, RATE: 2e-5, "distill.save_every_seconds": 1}, "stages": [STAGE]}


@dataclass
class Part:
    """What one run has done of the training.

    Attributes:
        log: of this part alone.
        stood: iteration of the train state that it left.
    """

    run_id: str
    log: str = ""
    stood: int = 0

    @property
    def began(self) -> int:
        """The first iteration."""
        found = re.search(rf"Running stage '{STAGE}'.*?distill {STUDENT}: (\d+)/", self.log, flags=re.DOTALL)
        assert found, self.log
        return int(found[1])


def training(server: Server, machine: Machine, run_id: str, after: int = 0) -> list[psutil.Process]:
    """The processes of the training, once its train state is beyond an iteration."""
    return list(server.until(run_id, lambda: machine.training(after), POLL_SECONDS))


def killed_with_its_worker(server: Server, machine: Machine) -> Part:
    """A run that was killed together with its worker."""
    machine.ready()
    run_id = machine.begin("distill/distill-cpu", **LONG)
    training(server, machine, run_id)
    assert machine.worker is not None
    (engine,) = psutil.Process(machine.worker.pid).children()
    machine.kill_worker()
    engine.kill()
    wait_until(lambda: not machine.processes())
    machine.start()
    return Part(run_id, stood=machine.trained(STUDENT))


def without_its_worker(server: Server, machine: Machine, silent: Part) -> Part:
    """A new run of the same work, whose worker was killed."""
    run_id = machine.begin("distill/distill-cpu", **LONG)
    with paused(training(server, machine, run_id, silent.stood)):
        machine.kill_worker()
        machine.start()
        time.sleep(SECONDS_BETWEEN_LINES)  # so that the next iteration prints a line, which nobody takes
    server.wait(run_id, "CRASHED")
    server.until(run_id, lambda: not machine.processes())
    return Part(run_id, server.log(run_id), machine.trained(STUDENT))


def cancel(server: Server, machine: Machine, run_id: str, after: int) -> None:
    """A person cancels a run in the middle of its training."""
    with paused(training(server, machine, run_id, after)):  # it does not end by itself
        server.set_state(run_id, "CANCELLING")
        server.wait(run_id, "CANCELLED")
        server.until(run_id, lambda: not machine.processes())


def tried_again_and_cancelled(server: Server, machine: Machine, crashed: Part) -> Part:
    server.set_state(crashed.run_id, "SCHEDULED", "AwaitingRetry")  # what `prefect flow-run retry` does
    cancel(server, machine, crashed.run_id, crashed.stood)
    return Part(crashed.run_id, server.log(crashed.run_id)[len(crashed.log) :], machine.trained(STUDENT))


def begun_anew(server: Server, machine: Machine, cancelled: Part) -> Part:
    run_id = machine.begin("distill/distill-cpu", **LONG)
    cancel(server, machine, run_id, cancelled.stood)
    return Part(run_id, server.log(run_id), machine.trained(STUDENT))


@dataclass
class Parts:
    """Each goes on where the one before was interrupted."""

    silent: Part
    crashed: Part
    cancelled: Part
    last: Part


@pytest.fixture(scope="module")
def parts(server: Server, main_machine: Machine) -> Parts:
    silent = killed_with_its_worker(server, main_machine)
    crashed = without_its_worker(server, main_machine, silent)
    cancelled = tried_again_and_cancelled(server, main_machine, crashed)
    return Parts(silent, crashed, cancelled, begun_anew(server, main_machine, cancelled))


def test_a_run_killed_with_its_worker_leaves_no_training_and_a_new_run_continues_it(parts: Parts) -> None:
    assert parts.crashed.began > parts.silent.stood > 0


def test_a_killed_worker_is_a_crashed_run_and_a_retry_continues(parts: Parts) -> None:
    assert parts.cancelled.run_id == parts.crashed.run_id
    assert parts.cancelled.began > parts.crashed.stood > 0


def test_cancelling_stops_the_training_and_a_new_run_continues_it(parts: Parts) -> None:
    assert parts.last.began > parts.cancelled.stood > 0


@pytest.fixture(scope="module")
def failed(server: Server, main_machine: Machine) -> str:
    """A run whose stage is killed as often as it is tried; during the first time the server restarts."""
    main_machine.ready()
    asked = {RATE: 3e-5, ITERATIONS: ENDLESS}
    run_id = main_machine.begin("distill/distill-cpu", overrides=asked, stages=[STAGE], retries=1)
    held = server.until(run_id, lambda: main_machine.processes(TRAINING), POLL_SECONDS)
    with paused(held):
        server.stop()
        assert all(map(is_alive, held))
        server.start()
    for _ in range(2):
        for process in server.until(run_id, lambda: main_machine.processes(TRAINING), POLL_SECONDS):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(SIGSEGV)
        server.until(run_id, lambda: not main_machine.processes(TRAINING))
    server.wait(run_id, "FAILED")
    return run_id


def test_a_failing_stage_says_its_last_lines(server: Server, failed: str) -> None:
    assert f"{STAGE} ended with exit status" in server.message(failed)
    assert f"Running stage '{STAGE}'" in server.message(failed)


def test_a_server_that_restarts_disturbs_no_run(server: Server, failed: str) -> None:
    """What the stage does before and after arrives: each of its tries, and how it ended."""
    assert [row["message"] for row in server.lines(failed)].count(f"> {TRAINING}") == 2
    assert server.task_runs(failed)[STAGE]["run_count"] == 2


def test_a_mistake_in_the_params_is_not_tried_again(server: Server, main_machine: Machine) -> None:
    wrong = {"prepare.num_evaluation_prompts": 1_000_000}
    run_id = main_machine.run(distill, overrides=wrong, stages=["prepare"], retries=3)
    server.wait(run_id, "FAILED")
    assert "num_evaluation_prompts" in server.message(run_id)
    assert all(row["run_count"] <= 1 for row in server.task_runs(run_id).values())


def test_an_override_that_does_not_exist_names_those_that_do(server: Server, main_machine: Machine) -> None:
    run_id = main_machine.run(distill, overrides={"distill.sede": 1})
    server.wait(run_id, "FAILED")
    assert "distill.sede" in server.message(run_id)
    assert "seed" in server.message(run_id)


def test_a_run_that_fell_silent_is_shown_as_crashed(server: Server, parts: Parts) -> None:
    server.wait(parts.silent.run_id, "CRASHED")
    assert "heartbeat" in server.message(parts.silent.run_id)
