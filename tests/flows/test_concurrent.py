"""Several runs at once: equal work is done once, a device serves one at a time."""

import re

import psutil
import pytest

from tests.flows.conftest import STAGE, STUDENT, TRAINING, Machine, Server
from tests.flows.test_recovery import RATE, long_stage
from tests.flows.waiting import paused

pytestmark = pytest.mark.xdist_group("prefect")

FEW = 3  # iterations: the first training is met while it imports, and waits


def test_two_runs_that_need_the_same_stage_train_it_once(server: Server, machine: Machine) -> None:
    runs = [
        machine.begin("distill/distill-cpu", overrides={RATE: 4e-5, "report.title": title}, stages=[STAGE])
        for title in ("One", "Two")
    ]
    logs = [server.log(run_id) for run_id in runs if server.wait(run_id)]
    assert sum(f"distill {STUDENT}: residual" in log for log in logs) == 1
    assert all("Completed" in server.flow_run(run_id)["state"]["name"] for run_id in runs)


def devices(server: Server, run_id: str) -> set[str]:
    return set(re.findall(rf"{STAGE}: on GPU (\S+)", server.log(run_id)))


def begin_two(machine: Machine, gpus: str, seeds: tuple[int, int]) -> list[str]:
    return [machine.begin("distill/distill-cpu", {"GPD_GPUS": gpus}, **long_stage(seed, FEW)) for seed in seeds]


def test_with_one_gpu_the_second_run_waits(server: Server, machine: Machine) -> None:
    runs = begin_two(machine, "0", (6, 7))
    with paused(server.until(runs[0], lambda: trainings(machine))):
        server.until(runs[1], lambda: any(f"{STAGE}: waiting for a GPU" in server.log(run_id) for run_id in runs))
        assert len(training_devices(machine)) == 1
    for run_id in runs:
        server.wait(run_id)
    assert [devices(server, run_id) for run_id in runs] == [{"0"}, {"0"}]


def test_with_two_gpus_each_run_has_its_own(server: Server, machine: Machine) -> None:
    runs = begin_two(machine, "0,1", (8, 9))
    with paused(server.until(runs[0], lambda: trainings(machine))):
        server.until(runs[1], lambda: len(set(training_devices(machine))) == 2)
    for run_id in runs:
        server.wait(run_id)
    assert sorted(map(devices, [server] * 2, runs), key=str) == [{"0"}, {"1"}]


def trainings(machine: Machine) -> list[psutil.Process]:
    """Those that go on, from the moment when they begin to import."""
    return machine.processes(f"/{TRAINING}")  # with its place: not the shell that started it


def training_devices(machine: Machine) -> list[str | None]:
    """The device of each training that goes on."""
    return [process.environ().get("CUDA_VISIBLE_DEVICES") for process in trainings(machine)]
