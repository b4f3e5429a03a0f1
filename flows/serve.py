"""`python -m flows.serve` (`make prefect`): a server on this machine, what it must know and its workers, all in one."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

import psutil

from flows import reports, settings
from flows.bootstrap import POOLS
from flows.tree import FLOWS

SECONDS_BEFORE_A_NEW_WORKER = 5
STARTUP_SECONDS = 600  # 10 on an idle machine; one that is busy with a training may take minutes
PATIENCE_SECONDS = 10


def main() -> None:
    """Runs until Ctrl-C or TERM; nothing stays behind."""
    options = parse()
    signal.signal(signal.SIGTERM, interrupt)
    environment = settings.environment(options.home, options.port)
    try:
        with ExitStack() as stack:
            serve(stack, options, environment)
    except KeyboardInterrupt:
        print("gpd: stopped", flush=True)


def serve(stack: ExitStack, options: argparse.Namespace, environment: dict[str, str]) -> None:
    """Starts the server, sets it up, keeps the workers running; then waits for the server to end."""
    require_free(options.port)
    require_free(options.port + 1)
    server = stack.enter_context(
        running("prefect", "server", "start", environment=environment, log=options.home / "server.log")
    )
    wait_for_server(server, environment["PREFECT_API_URL"], options.home / "server.log")
    subprocess.run([sys.executable, "-m", "flows.bootstrap"], cwd=settings.ROOT, env=environment, check=True)
    url = stack.enter_context(reports.served(settings.ROOT / FLOWS, options.port + 1))
    environment = {**environment, reports.VARIABLE: url}
    starts = {pool: partial(worker, pool, environment, options.home / f"worker-{pool}.log") for pool in options.pools}
    workers = {pool: stack.enter_context(start()) for pool, start in starts.items()}
    print(welcome(options), flush=True)
    while server.poll() is None:
        time.sleep(1)
        for pool in [pool for pool, child in workers.items() if child.poll() is not None]:
            print(f"gpd: the worker {pool} has ended; another one starts, see {options.home}", flush=True)
            time.sleep(SECONDS_BEFORE_A_NEW_WORKER)
            workers[pool] = stack.enter_context(starts[pool]())
    raise SystemExit(f"gpd: the server ended by itself; see the logs in {options.home}")


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m flows.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=settings.PORT, help="of the server, on the loopback address")
    parser.add_argument("--home", type=Path, default=settings.ROOT / ".work" / "prefect", help="database and logs")
    parser.add_argument(
        "--pools", nargs="*", default=default_pools(), choices=[*POOLS], help="pools to start a worker for"
    )
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    return options


def default_pools() -> list[str]:
    """A worker for the GPUs only if there are some."""
    from flows import devices

    return ["cpu", "gpu"] if devices.visible() else ["cpu"]


def welcome(options: argparse.Namespace) -> str:
    """What a newcomer does next."""
    url = settings.api_url(options.port)
    export = "" if options.port == settings.PORT else f"export PREFECT_API_URL={url}; "
    return (
        f"\n  Pages      {url.removesuffix('/api')}   (workers: {', '.join(options.pools)}; logs: {options.home})\n"
        f"  A run      {export}prefect deployment run distill/distill-cpu\n"
        f"  Ends       with Ctrl-C\n"
    )


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((settings.HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """One line instead of a page of a server's log."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, port))
        except OSError:
            raise SystemExit(f"gpd: port {port} is taken: `make prefect PORT=..`, or end what listens there") from None


def wait_for_server(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until it answers."""
    end = time.monotonic() + STARTUP_SECONDS
    while not settings.is_reachable(url):
        if server.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"gpd: the Prefect server did not start\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


@contextmanager
def worker(
    pool: str, environment: dict[str, str], log: Path, cwd: Path = settings.ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A process worker of this clone."""
    name = f"{socket.gethostname()}-{pool}"
    words = ("prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", name)
    with running(*words, environment=environment, log=log, cwd=cwd) as child:
        try:
            yield child
        finally:
            end_runs(child)


@contextmanager
def running(
    *words: str, environment: dict[str, str], log: Path, cwd: Path = settings.ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A command of this Python's environment in a session of its own, which is over when the block is."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [Path(sys.executable).with_name(words[0]), *words[1:]],
            cwd=cwd,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """Terminates it, waits, kills it."""
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def end_runs(worker: subprocess.Popen[bytes]) -> None:
    """Ends the worker's flow runs, each in a session of its own, which a worker that ends would wait for or leave."""
    try:
        runs = psutil.Process(worker.pid).children()
    except psutil.NoSuchProcess:
        return
    for run in runs:
        with suppress(psutil.NoSuchProcess):
            run.terminate()
    for run in psutil.wait_procs(runs, PATIENCE_SECONDS)[1]:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


def interrupt(number: int, frame: FrameType | None) -> None:
    """TERM ends as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
