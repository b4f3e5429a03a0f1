"""Stopped in the middle and recovered: by a person, by a killed worker, by a server that restarts, by a failure."""

import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.conftest import STAGE, STUDENT, TRAINING, Machine, Server, copy_clone
from tests.flows.waiting import is_alive, paused, wait_until

pytestmark = pytest.mark.xdist_group("prefect")

SOME = 30  # iterations: more than are done until the first train state is met
MANY = 120  # more than are done until the next line is printed, ten seconds later
ENDLESS = 100_000  # iterations of a training that somebody ends
RATE, ITERATIONS = (f"distill.stages.{STUDENT}.{key}" for key in ("learning_rate", "iterations"))


def long_stage(seed: int, iterations: int) -> dict[str, Any]:
    """A training that saves every second; the seed makes it one of its own."""
    own = {ITERATIONS: iterations, RATE: 1e-5 + seed * 1e-7}
    return {"overrides": {**own, "distill.save_every_seconds": 1}, "stages": [STAGE]}


@pytest.fixture(scope="module")
def doomed(server: Server, reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, str]]:
    """A machine whose worker and run were killed at once in the middle of a stage; the id of the run."""
    machine = Machine(server, copy_clone(reproduced, tmp_path_factory.mktemp("machines") / "doomed" / "gpd"))
    machine.start()
    run_id = machine.begin("distill/distill-cpu", **long_stage(0, ENDLESS))
    server.until(run_id, machine.training)
    engine = psutil.Process(machine.worker.pid).children()[0] if machine.worker else None
    assert engine is not None
    machine.kill_worker()
    engine.kill()
    yield machine, run_id
    machine.stop()


def test_a_run_killed_with_its_worker_leaves_no_training(doomed: tuple[Machine, str]) -> None:
    machine, _ = doomed
    wait_until(lambda: not machine.processes())


def test_cancelling_stops_the_training_and_a_new_run_continues_it(server: Server, machine: Machine) -> None:
    work = long_stage(1, SOME)
    first = machine.begin("distill/distill-cpu", **work)
    with paused(server.until(first, machine.training)):  # it does not end by itself
        server.set_state(first, "CANCELLING")
        server.wait(first, "CANCELLED")
        server.until(first, lambda: not machine.processes())
    stood = machine.trained(STUDENT)
    second = machine.begin("distill/distill-cpu", **work)
    server.wait(second)
    assert first_iteration(server.log(second)) > stood > 0


def test_a_killed_worker_is_a_crashed_run_and_a_retry_continues(server: Server, machine: Machine) -> None:
    run_id = machine.begin("distill/distill-cpu", **long_stage(2, MANY))
    with paused(server.until(run_id, machine.training)):
        machine.kill_worker()
    server.wait(run_id, "CRASHED")  # at its next line, which nobody takes
    server.until(run_id, lambda: not machine.processes())
    stood, before = machine.trained(STUDENT), len(server.log(run_id))
    machine.start()
    server.set_state(run_id, "SCHEDULED", "AwaitingRetry")  # what `prefect flow-run retry` does
    server.wait(run_id)
    assert first_iteration(server.log(run_id)[before:]) > stood > 0


def test_a_server_that_restarts_disturbs_no_run(server: Server, machine: Machine) -> None:
    run_id = machine.begin("distill/distill-cpu", **long_stage(3, SOME))
    training = server.until(run_id, machine.training)
    with paused(training):
        server.stop()
    assert any(map(is_alive, training))
    server.start()
    server.wait(run_id)
    assert server.log(run_id).count(f"Running stage '{STAGE}'") == 1


def test_a_failing_stage_says_its_last_lines(server: Server, machine: Machine) -> None:
    run_id = machine.begin(
        "distill/distill-cpu", overrides={RATE: 3e-5, ITERATIONS: ENDLESS}, stages=[STAGE], retries=1
    )
    for _ in range(2):  # as often as it is tried
        for process in server.until(run_id, lambda: machine.processes(TRAINING)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSEGV)
        server.until(run_id, lambda: not machine.processes(TRAINING))
    server.wait(run_id, "FAILED")
    assert f"{STAGE} ended with exit status" in server.message(run_id)
    assert f"Running stage '{STAGE}'" in server.message(run_id)
    assert server.task_runs(run_id)[STAGE]["run_count"] == 2


def test_a_mistake_in_the_params_is_not_tried_again(server: Server, machine: Machine) -> None:
    wrong = {"prepare.num_evaluation_prompts": 1_000_000}
    run_id = machine.begin("distill/distill-cpu", overrides=wrong, stages=["prepare"], retries=3)
    server.wait(run_id, "FAILED")
    assert "num_evaluation_prompts" in server.message(run_id)
    assert all(row["run_count"] <= 1 for row in server.task_runs(run_id).values())


def test_an_override_that_does_not_exist_names_those_that_do(server: Server, machine: Machine) -> None:
    run_id = machine.begin("distill/distill-cpu", overrides={"distill.sede": 1})
    server.wait(run_id, "FAILED")
    assert "distill.sede" in server.message(run_id)
    assert "seed" in server.message(run_id)


def test_a_run_that_fell_silent_is_shown_as_crashed(server: Server, doomed: tuple[Machine, str]) -> None:
    machine, run_id = doomed
    server.wait(run_id, "CRASHED")
    assert "heartbeat" in server.message(run_id)
    assert machine.trained(STUDENT) > 0  # what a new run continues


def first_iteration(log: str) -> int:
    """Of the last time that the training began or went on."""
    found = re.findall(rf"Running stage '{STAGE}'.*?distill {STUDENT}: (\d+)/", log, flags=re.DOTALL)
    return int(found[-1])
