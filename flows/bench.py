"""`python -m flows.bench`: what a flow adds to the bare `dvc repro`, and what listening costs a busy command.

Starts a server and a worker of its own in a temporary folder, with two clones whose caches are empty. `--params FILE`
replaces params.yaml in both; without it the default pipeline runs twice.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows import outputs, process, serve, settings

AUTHOR = ("-c", "user.name=gpd", "-c", "user.email=gpd@localhost")
POLL_SECONDS = 0.2
LINES = 10_000
CHILD = f"""
import time
began, used = time.perf_counter(), time.process_time()
for line in range({LINES}):
    sum(i * i for i in range(20_000))
    print("line", line, "of a command that is busy all the time", flush=True)
print("took", time.perf_counter() - began, time.process_time() - used, flush=True)
"""


def main() -> None:
    """Both measurements, as lines for a person."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix="gpd-bench-") as folder, server(Path(folder)) as environment:
        if not options.only_lines:
            bench_run(Path(folder), environment, options.params)
        if not options.only_run:
            bench_lines(environment, options.repeats)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m flows.bench", description=__doc__)
    parser.add_argument("--params", type=Path, help="a params.yaml for both clones")
    parser.add_argument("--repeats", type=int, default=3, help="of the measurement of lines")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--only-run", action="store_true", help="leave the measurement of lines out")
    only.add_argument("--only-lines", action="store_true", help="leave the pipeline out")
    return parser.parse_args()


@contextmanager
def server(folder: Path) -> Iterator[dict[str, str]]:
    """A server of our own on a free port; yields the environment of its clients."""
    environment = settings.environment(folder / "prefect", serve.free_port()) | {"DVC_SITE_CACHE_DIR": f"{folder}/site"}
    log = folder / "server.log"
    with serve.running("prefect", "server", "start", environment=environment, log=log) as child:
        serve.wait_for_server(child, environment["PREFECT_API_URL"], log)
        subprocess.run([sys.executable, "-m", "flows.bootstrap"], cwd=settings.ROOT, env=environment, check=True)
        yield environment


def bench_run(folder: Path, environment: dict[str, str], params: Path | None) -> None:
    """The same work bare and as a deployment's run, from the request to its end."""
    bare, flow = (make_clone(folder / name / "gpd", params) for name in ("bare", "flow"))
    stages = len(outputs.stages_in(bare))
    began = time.monotonic()
    process.read_command(["dvc", "repro"], cwd=bare, env=environment | {"PATH": process.environment()["PATH"]})
    bare_seconds = time.monotonic() - began
    with serve.worker("cpu", environment, folder / "worker.log", cwd=flow):
        began = time.monotonic()
        run_deployment(environment["PREFECT_API_URL"], "distill/distill-cpu")
        flow_seconds = time.monotonic() - began
    added = flow_seconds - bare_seconds
    print(f"dvc repro     {bare_seconds:8.1f} s   ({stages} stages)")
    print(f"flow          {flow_seconds:8.1f} s   ratio {flow_seconds / bare_seconds:.3f}")
    print(f"added         {added:8.1f} s   {added / stages:.2f} s a stage", flush=True)


def make_clone(folder: Path, params: Path | None) -> Path:
    """A clone of the repository's commit, with other params if given, and nothing in its cache."""
    folder.parent.mkdir(parents=True)
    process.read_command(["git", "clone", "-q", str(settings.ROOT), str(folder)], cwd=folder.parent)
    if params:
        shutil.copy(params, folder / "params.yaml")
        process.read_command(["git", *AUTHOR, "commit", "-qam", "params of the bench"], cwd=folder)
    return folder


def run_deployment(url: str, name: str) -> None:
    """Starts a run and waits for it.

    Raises:
        SystemExit: it did not end well.
    """
    found = ask(url, f"deployments/name/{name}")
    run = ask(url, f"deployments/{found['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    while (state := ask(url, f"flow_runs/{run['id']}")["state"])["type"] in {"SCHEDULED", "PENDING", "RUNNING"}:
        time.sleep(POLL_SECONDS)
    if state["type"] != "COMPLETED":
        raise SystemExit(f"gpd: the run ended as {state['name']}: {state['message']}")


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The server's answer."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{url}/{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def bench_lines(environment: dict[str, str], repeats: int) -> None:
    """A busy command that writes to a file, and the same as read by a flow; medians of its own figures."""
    alone, heard = [], []
    for _ in range(repeats):
        alone.append(took(run_alone(environment)))
        heard.append(took(run_python(["-m", "flows.bench_lines"], environment)))
    for place, name in enumerate(("wall", "cpu")):
        before, after = (statistics.median(pair[place] for pair in pairs) for pairs in (alone, heard))
        print(f"{LINES} lines, {name}: alone {before:.2f} s, heard {after:.2f} s, {100 * (after / before - 1):+.1f} %")


def run_alone(environment: dict[str, str]) -> str:
    """What the busy command writes if nobody listens."""
    with tempfile.TemporaryFile("w+") as file:
        subprocess.run([sys.executable, "-c", CHILD], env=environment, stdout=file, check=True)
        file.seek(0)
        return file.read()


def run_python(words: list[str], environment: dict[str, str]) -> str:
    """Output of this Python with these words."""
    done = subprocess.run([sys.executable, *words], cwd=settings.ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"gpd: the flow failed\n{done.stderr[-2000:]}")
    return done.stdout


def took(output: str) -> tuple[float, float]:
    """Seconds on the clock and of the processor, from the command's last line."""
    line = next(line for line in reversed(output.splitlines()) if line.startswith("took "))
    wall, cpu = line.split()[1:]
    return float(wall), float(cpu)


if __name__ == "__main__":
    main()
