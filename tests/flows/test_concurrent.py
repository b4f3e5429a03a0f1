"""Two runs at once: equal work is done once, a device serves one at a time."""

import re
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from tests.flows.conftest import STAGE, STUDENT, Machine, Server
from tests.flows.test_recovery import RATE
from tests.flows.waiting import POLL_SECONDS, paused

TEACHER = {"checkpoint": "data/tiny-wan", "solver": "euler", "guidance_scale": 3.0}
WAITS_FOR_TWIN = f"{STAGE}: another run does this work; waiting for it"
WAITS_FOR_DEVICE = "sample@in-3: waiting for a GPU"
COMPUTING = "/gpd "  # with its place: not the shell that started it


def two_stages(steps: int) -> dict[str, Any]:
    """A run of a training, the same in both runs, and of the teacher's samples in so many steps: neither waits."""
    subjects = {"reference": {**TEACHER, "steps": 48}, f"in-{steps}": {**TEACHER, "steps": steps}}
    asked = {RATE: 4e-5, "sample.subjects": subjects}
    return {"overrides": asked, "stages": [STAGE, sampling(steps)], "at_once": 2}


def sampling(steps: int) -> str:
    return f"sample@in-{steps}"


@dataclass
class Seen:
    """Two runs on a machine with two devices.

    Attributes:
        busy: the device of each process that computed while both stages of the first run went on.
        logs: of the runs, when they had ended.
    """

    busy: list[str | None]
    logs: tuple[str, str]


@pytest.fixture(scope="module")
def seen(server: Server, main_machine: Machine) -> Seen:
    """The second run begins while the first uses both devices, and waits with all that it has to do."""
    machine = main_machine
    machine.ready()

    def computing(at_least: int = 0) -> list[psutil.Process]:
        found = machine.processes(COMPUTING)  # from the moment when they begin to import
        return found if len(found) >= at_least else []

    first = machine.begin("distill/distill-cpu", {"GPD_GPUS": "0,1"}, **two_stages(2))
    with paused(server.until(first, lambda: computing(at_least=2), POLL_SECONDS)):
        second = machine.begin("distill/distill-cpu", {"GPD_GPUS": "0,1"}, **two_stages(3))
        server.until(second, lambda: all(words in server.log(second) for words in (WAITS_FOR_TWIN, WAITS_FOR_DEVICE)))
        busy = [process.environ().get("CUDA_VISIBLE_DEVICES") for process in computing()]
    for run_id in (first, second):
        server.wait(run_id)
    return Seen(busy, (server.log(first), server.log(second)))


def test_each_stage_has_a_device_of_its_own(seen: Seen) -> None:
    assert sorted(map(str, seen.busy)) == ["0", "1"]
    assert sorted(devices(seen.logs[0], STAGE) + devices(seen.logs[0], sampling(2))) == ["0", "1"]


def test_with_all_devices_in_use_a_stage_waits(seen: Seen) -> None:
    assert WAITS_FOR_DEVICE in seen.logs[1]
    assert devices(seen.logs[1], sampling(3))  # and gets one


def test_two_runs_that_need_the_same_stage_train_it_once(seen: Seen) -> None:
    assert WAITS_FOR_TWIN in seen.logs[1]
    assert [f"distill {STUDENT}: residual" in log for log in seen.logs] == [True, False]


def devices(log: str, stage: str) -> list[str]:
    """Where a stage of a run has computed."""
    return re.findall(rf"{stage}: on GPU (\S+)", log)
