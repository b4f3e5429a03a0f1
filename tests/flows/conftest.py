"""One real Prefect server for the flow tests, and machines: clones of the repository with a real worker each."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import serve, settings
from gpd.distillation.saving.train_state import MARKER
from tests.clone import commit, copy_tree, environment, run
from tests.flows.waiting import SERVER_POLL_SECONDS, STILL_SECONDS, growth, is_alive, wait_until

TWO_GPUS = "0,1"
STUDENT, STAGE, TRAINING = "k1", "distill@k1", "gpd distill k1"
FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


@contextmanager
def using_server(url: str) -> Iterator[None]:
    """What this process asks of Prefect goes there."""
    with temporary_settings({PREFECT_API_URL: url}):
        yield


def is_last_line(row: dict[str, Any], state: str) -> bool:
    """Whether a flow says by this line that it has ended so (its tasks end with the same words)."""
    return row["task_run_id"] is None and row["message"].startswith(f"Finished in state {state.title()}")


class Server:
    """A Prefect server as `make prefect` starts it, and what a person asks it."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, serve.free_port()
        self.url = settings.api_url(self.port)
        self.environment = {**settings.environment(home, self.port), "GPD_GPUS": ""}
        self.stack = ExitStack()
        self.http = httpx.Client(base_url=self.url, timeout=STILL_SECONDS)
        self.machines: list[Machine] = []

    def start(self) -> None:
        log = self.home / "server.log"
        running = serve.running("prefect", "server", "start", environment=self.environment, log=log)
        serve.wait_for_server(self.stack.enter_context(running), self.url, log)

    def stop(self) -> None:
        self.stack.close()

    def copy_database(self, home: Path) -> None:
        """What it keeps, for another server."""
        name = "prefect.db"
        with closing(sqlite3.connect(self.home / name)) as own, closing(sqlite3.connect(home / name)) as copy:
            own.backup(copy)

    def bootstrap(self) -> None:
        words = [sys.executable, "-m", "flows.bootstrap", "--gpu-pools", "large"]
        environment = self.environment | {"GPD_GPUS": TWO_GPUS}
        subprocess.run(words, cwd=settings.ROOT, env=environment, check=True, capture_output=True)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        def try_once() -> httpx.Response | None:
            answer = self.http.request(method, f"{self.url}/{path}", **({"json": body} if body else {}))
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        answer = wait_until(try_once)  # its SQLite is locked for a moment; Prefect's own client asks again, too
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def begin(self, deployment: str, queue: str, env: dict[str, str] | None = None, **parameters: Any) -> str:
        """Starts a run as the page's form does; its id."""
        found = self.ask("GET", f"deployments/name/{deployment}")["id"]
        variables = {"env": env} if env else {}
        made = self.ask(
            "POST",
            f"deployments/{found}/create_flow_run",
            parameters=parameters,
            work_queue_name=queue,
            job_variables=variables,
            state={"type": "SCHEDULED"},
        )
        return str(made["id"])

    def flow_run(self, run_id: str) -> Any:
        return self.ask("GET", f"flow_runs/{run_id}")

    def state(self, run_id: str) -> str:
        return str(self.flow_run(run_id)["state_type"])

    def message(self, run_id: str) -> str:
        return str(self.flow_run(run_id)["state"]["message"])

    def set_state(self, run_id: str, state: str, name: str | None = None) -> None:
        body = {"type": state, "name": name or state.title()}
        self.ask("POST", f"flow_runs/{run_id}/set_state", state=body, force=name is not None)

    def until(self, run_id: str, is_so: Callable[[], Any], every: float = SERVER_POLL_SECONDS) -> Any:
        """Waits for something in the course of a run."""
        return wait_until(is_so, self.moves, lambda: f"{self.state(run_id)}\n{self.log(run_id)}", every)

    def moves(self) -> tuple[Any, ...]:
        """What changes as long as some run goes on: logs, train states and files of all machines."""
        return growth(*(machine.folder.parent for machine in self.machines))

    def wait(self, run_id: str, *expected: str) -> str:
        """Until the run has ended; it must have ended as expected (by default well)."""
        self.until(run_id, lambda: self.state(run_id) in FINAL)
        state = self.state(run_id)
        assert state in (expected or ("COMPLETED",)), f"{state}: {self.message(run_id)}\n{self.log(run_id)}"
        if state in ("COMPLETED", "FAILED"):  # a run sends its lines in batches: the last ones arrive after its state
            self.until(run_id, lambda: any(is_last_line(row, state) for row in self.lines(run_id)))
        return state

    def log(self, run_id: str) -> str:
        """All lines of a run and its tasks in the order of time."""
        return "\n".join(row["message"] for row in self.lines(run_id))

    def lines(self, run_id: str) -> list[dict[str, Any]]:
        """The lines as the server keeps them: message, time, the task that wrote it."""
        wanted = {"flow_run_id": {"any_": [run_id]}}
        rows: list[dict[str, Any]] = []
        while page := self.ask("POST", "logs/filter", logs=wanted, offset=len(rows), limit=200, sort="TIMESTAMP_ASC"):
            rows.extend(page)
        return rows

    def artifacts(self, run_id: str) -> dict[str, Any]:
        """Key -> artifact of a run."""
        rows = self.ask("POST", "artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}})
        return {row["key"]: row for row in rows}

    def task_runs(self, run_id: str) -> dict[str, Any]:
        """Name -> task run."""
        rows = self.ask("POST", "task_runs/filter", task_runs={"flow_run_id": {"any_": [run_id]}})
        return {row["name"]: row for row in rows}


class Machine:
    """A clone with a worker: what another host is to the server. Its work queue has its name."""

    def __init__(self, server: Server, folder: Path, **env: str) -> None:
        self.server, self.folder, self.queue = server, folder, folder.parent.name
        self.env = {**server.environment, **environment(folder), **env}
        self.env |= {k: v for k, v in server.environment.items() if k.startswith("PREFECT")}
        self.env |= {"GPD_GRACE_SECONDS": "10", **env}  # processes that a test holds still do not heed SIGTERM
        self.worker: subprocess.Popen[bytes] | None = None
        self.stack = ExitStack()
        server.machines.append(self)

    def start(self) -> None:
        words = ("prefect", "worker", "start", "--pool", "cpu", "--type", "process", "--work-queue", self.queue)
        log = self.folder.parent / "worker.log"
        self.worker = self.stack.enter_context(serve.running(*words, environment=self.env, log=log, cwd=self.folder))
        self.stack.callback(self.end_runs)

    def ready(self) -> None:
        """Whatever the test before has left: a worker is there, and no train state."""
        for state in (self.folder / ".work" / "distill").glob("*/"):
            shutil.rmtree(state)
        if self.worker is None or self.worker.poll() is not None:
            self.start()

    def stop(self) -> None:
        self.stack.close()

    def end_runs(self) -> None:
        for process in self.processes():
            process.kill()

    def kill_worker(self) -> None:
        """As a machine's out-of-memory killer does it."""
        assert self.worker is not None
        self.worker.send_signal(signal.SIGKILL)
        self.worker.wait()

    def begin(self, deployment: str, env: dict[str, str] | None = None, **parameters: Any) -> str:
        return self.server.begin(deployment, self.queue, env, **parameters)

    def run(self, flow: Any, **parameters: Any) -> str:
        """Runs a flow in this process, as `python -m flows.distill` does: nothing has to be imported. The run's id."""
        own = {name: value for name, value in self.env.items() if not name.startswith("PREFECT")}
        with using_server(self.server.url), pytest.MonkeyPatch.context() as changes:
            changes.chdir(self.folder)
            for name, value in own.items():
                changes.setenv(name, value)
            state = flow(**parameters, return_state=True)
        return str(state.state_details.flow_run_id)

    def processes(self, words: str = "") -> list[psutil.Process]:
        """What runs in this clone's trees (not the worker), with these words in its command."""
        found = []
        for process in psutil.process_iter():
            try:
                place, command = Path(process.cwd()), " ".join(process.cmdline())
            except (psutil.Error, OSError):
                continue
            is_ours = place.is_relative_to(self.folder) and (self.worker is None or process.pid != self.worker.pid)
            if is_ours and words in command and is_alive(process):
                found.append(process)
        return found

    def training(self, after: int = 0) -> list[psutil.Process]:
        """The processes of a training whose train state is beyond an iteration, if there is one."""
        return self.processes(TRAINING) if self.trained(STUDENT) > after else []

    def trained(self, stage: str) -> int:
        """The iteration of the stage's train state; 0 where there is none."""
        marker = next((self.folder / ".work" / "distill").glob(f"{stage}-*/{MARKER}"), None)
        return int(json.loads(marker.read_text())["iteration"]) if marker else 0


def copy_clone(source: Path, folder: Path) -> Path:
    """A clone of its own with everything done and committed."""
    copy_tree(source, folder)
    shutil.rmtree(folder / ".work", ignore_errors=True)
    run("git", "add", "dvc.lock", "data/evaluations", cwd=folder)
    run("git", "checkout", "-q", "--", ".", cwd=folder)
    commit(folder, "done")
    return folder


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Prefect server with this repository's pools, limits, deployments and watch; it ends with this folder."""
    server = Server(tmp_path_factory.mktemp("prefect"))
    server.start()
    try:
        server.bootstrap()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="package")
def clone(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_clone(reproduced, tmp_path_factory.mktemp("machines") / "main" / "gpd")


@pytest.fixture(scope="package")
def main_machine(server: Server, clone: Path) -> Iterator[Machine]:
    machine = Machine(server, clone)
    yield machine
    machine.stop()


@pytest.fixture
def machine(main_machine: Machine) -> Machine:
    """The machine that most tests use: everything is done there already, and its worker waits."""
    main_machine.ready()
    return main_machine
