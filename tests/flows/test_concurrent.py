"""Several runs at once: equal work is done once, a device serves one at a time."""

import re

import pytest

from tests.flows.conftest import Machine, Server, wait_until
from tests.flows.test_recovery import FEW, SOME, TRAINING, long_stage

pytestmark = pytest.mark.xdist_group("prefect")


def test_two_runs_that_need_the_same_stage_train_it_once(server: Server, machine: Machine) -> None:
    rate = {**FEW, "distill.stages.k8.learning_rate": 4e-5}
    titles = [{"report.title": "One"}, {"report.title": "Two"}]
    runs = [machine.begin("distill/cpu", overrides={**rate, **title}) for title in titles]
    logs = [server.log(run_id) for run_id in runs if server.wait(run_id)]
    assert sum("distill k8: residual" in log for log in logs) == 1
    assert all("Completed" in server.flow_run(run_id)["state"]["name"] for run_id in runs)


def overlap(server: Server, runs: list[str]) -> bool:
    """Whether the runs trained k8 at the same time: from the device's arrival to the end of the task."""
    spans = []
    for run_id in runs:
        task = server.task_runs(run_id)["distill@k8"]
        rows = server.ask("POST", "logs/filter", logs={"task_run_id": {"any_": [task["id"]]}}, sort="TIMESTAMP_ASC")
        given = next(row["timestamp"] for row in rows if "on GPU" in row["message"])
        spans.append((given, task["end_time"]))
    first, second = sorted(spans)
    return bool(second[0] < first[1])


def devices(server: Server, run_id: str) -> set[str]:
    return set(re.findall(r"distill@k8: on GPU (\S+)", server.log(run_id)))


def begin_two(machine: Machine, gpus: str, rates: tuple[float, float]) -> list[str]:
    env = {"GPD_GPUS": gpus}
    overrides = [{**FEW, "distill.stages.k8.learning_rate": rate} for rate in rates]
    return [machine.begin("distill/cpu", env, overrides=one) for one in overrides]


def test_with_one_gpu_the_second_run_waits(server: Server, machine: Machine) -> None:
    runs = begin_two(machine, "0", (5e-5, 5.1e-5))
    for run_id in runs:
        server.wait(run_id)
    assert [devices(server, run_id) for run_id in runs] == [{"0"}, {"0"}]
    assert not overlap(server, runs)
    assert any("waiting for a GPU" in server.log(run_id) for run_id in runs)


def test_with_two_gpus_each_run_has_its_own(server: Server, machine: Machine) -> None:
    env = {"GPD_GPUS": "0,1"}
    runs = [machine.begin("distill/cpu", env, overrides=long_stage(seed, SOME)) for seed in (8, 9)]
    both = wait_until(
        lambda: len({p.environ().get("CUDA_VISIBLE_DEVICES") for p in machine.processes(TRAINING)}) == 2,
        lambda: "\n".join(map(server.log, runs)),
    )
    for run_id in runs:
        server.wait(run_id)
    assert both
    assert sorted(map(devices, [server] * 2, runs), key=str) == [{"0"}, {"1"}]
