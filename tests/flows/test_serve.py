"""`make prefect` brings everything up and leaves nothing; without a server there is one line."""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest
import yaml

from flows import bootstrap, serve, settings, sync
from flows.pipeline import start
from tests.flows.conftest import Server, using_server
from tests.flows.waiting import growth, wait_until


def test_one_command_brings_all_up_and_its_end_leaves_nothing(server: Server, tmp_path: Path) -> None:
    """As the second time on a machine: what is there stays, and a new database takes as long as all the rest."""
    server.copy_database(tmp_path)
    port = serve.free_port()
    words = [sys.executable, "-m", "flows.serve", "--port", str(port), "--home", str(tmp_path)]
    with (tmp_path / "said").open("wb") as said:
        command = subprocess.Popen(words, cwd=settings.ROOT, env={**os.environ, "GPD_GPUS": ""}, stdout=said)
    try:
        said = tmp_path / "said"
        wait_until(lambda: "Ctrl-C" in said.read_text() or command.poll() is not None, lambda: growth(tmp_path))
        assert command.poll() is None
        children = psutil.Process(command.pid).children(recursive=True)
        assert len(children) >= 2  # server and worker
        worker = next(child for child in children if {"worker", "start"} <= {*child.cmdline()})
        worker.kill()  # the server stays, another worker comes
        wait_until(lambda: "another one starts" in said.read_text(), lambda: growth(tmp_path))
        with urllib.request.urlopen(f"{settings.api_url(port)}/health", timeout=60) as answer:
            assert answer.status == 200
        children += psutil.Process(command.pid).children(recursive=True)
    finally:
        command.send_signal(signal.SIGTERM)
        command.wait()
    assert not [child for child in children if child.is_running()]


def test_a_taken_port_is_one_line_and_nothing_is_started(tmp_path: Path) -> None:
    port = serve.free_port()
    options = argparse.Namespace(port=port, home=tmp_path)
    taken = socket.create_server((settings.HOST, port))
    one_line = pytest.raises(SystemExit, match=rf"\Agpd: port {port} is taken.*\Z")  # `.` is no end of a line
    with taken, ExitStack() as stack, one_line:
        serve.serve(stack, options, {})
    assert not list(tmp_path.iterdir())


NO_SERVER = r"\Agpd: no Prefect server at http://127\.0\.0\.1:.*\Z"


@pytest.mark.parametrize("begin", [bootstrap.main, partial(start, sync.sync)], ids=["bootstrap", "sync"])
def test_without_a_server_nothing_begins(begin: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["flows"])
    with using_server(settings.api_url(serve.free_port())), pytest.raises(SystemExit, match=NO_SERVER):
        begin()


def test_a_flow_without_a_server_says_so_in_one_line() -> None:
    words, url = [sys.executable, "-m", "flows.distill"], settings.api_url(serve.free_port())
    done = subprocess.run(
        words, cwd=settings.ROOT, env={**os.environ, "PREFECT_API_URL": url}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.match(NO_SERVER, done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr


def test_what_is_shipped_is_private() -> None:
    environment = settings.environment(Path("home"), 4999)
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["PREFECT_SERVER_API_HOST"] == "127.0.0.1"
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4999/api"
    assert environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("filesystem")


def test_further_gpu_pools_get_the_deployments_of_gpu() -> None:
    shipped = yaml.safe_load((settings.ROOT / "flows" / "prefect.yaml").read_text())["deployments"]
    whole = bootstrap.deployments(["h100"])["deployments"]
    added = [one for one in whole if one["work_pool"]["name"] == "h100"]
    assert len(whole) == len(shipped) + len(added)
    assert {one["entrypoint"] for one in added} == {
        one["entrypoint"] for one in shipped if one["work_pool"]["name"] == "gpu"
    }
    assert all(one["name"].endswith("-h100") for one in added)


def test_each_deployment_has_a_title_of_its_own() -> None:
    names = [one["name"] for one in bootstrap.deployments(["h100"])["deployments"]]
    assert len(set(names)) == len(names)
