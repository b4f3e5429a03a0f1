"""GPU slots: none is handed out twice, and a killed holder frees its own."""

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from flows import devices, process
from tests.flows.conftest import Server, using_server


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize(("named", "expected"), [("0,1", ["0", "1"]), ("", []), (" 3 ", ["3"]), ("-1", [])])
def test_devices_are_those_that_the_environment_names(
    named: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPD_GPUS", named)
    assert devices.visible() == expected
    assert len(set(devices.limits())) == len(expected)


def test_a_share_that_a_scheduler_gave_is_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPD_GPUS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert devices.visible() == ["2", "3"]


def test_without_devices_a_slot_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPD_GPUS", "")
    with devices.gpu_slot() as slot:
        assert (slot.env, slot.held) == ({}, ())


def test_no_device_is_handed_out_twice() -> None:
    in_use: Counter[str] = Counter()
    most: Counter[str] = Counter()

    def work() -> None:
        for _ in range(5):
            with devices.free_device(["0", "1"]) as (device, _):
                in_use[device] += 1
                most[device] = max(most[device], in_use[device])
                time.sleep(0.01)
                in_use[device] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == {"0": 1, "1": 1}


def test_waiting_is_told_once_and_ends_when_the_holder_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, sys, tempfile; tempfile.tempdir = sys.argv[1]; from flows import devices\n"
        "with devices.free_device(['0']): print('held', flush=True); signal.pause()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    killed: list[None] = []
    with devices.free_device(["0"], lambda: killed.append(holder.kill())) as (device, _):  # it waits, so it is held
        assert (device, len(killed)) == ("0", 1)
    holder.wait()
    holder.stdout.close()


def test_a_stopping_flow_does_not_wait_on() -> None:
    with devices.free_device(["0"]):
        process.stop_all()
        try:
            with pytest.raises(process.StoppedError), devices.free_device(["0"]):
                pass
        finally:
            process.start_again()


def test_a_device_that_a_person_closed_is_passed_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPD_GPUS", "0,1")
    path = f"v2/concurrency_limits/{devices.limit_of('0')}"
    server.ask("PATCH", path, limit=0)
    try:
        with using_server(server.url), devices.gpu_slot() as slot:
            assert slot.env == {"CUDA_VISIBLE_DEVICES": "1"}
    finally:
        server.ask("PATCH", path, limit=1)
