"""`python -m flows.bootstrap`: pools, limits, deployments and the watch over silent runs, on the server in use."""

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from flows.settings import ROOT, require_server

POOLS = {"cpu": "Machines without a GPU.", "gpu": "Machines with GPUs; each run gets a device of its own."}
WATCH = "gpd: a silent run has crashed"
SILENCE = timedelta(seconds=95)  # three heartbeats
FINAL = ("Completed", "Failed", "Cancelled", "Crashed")


def main() -> None:
    """Brings the server up to what this repository expects; a second time changes nothing."""
    parser = argparse.ArgumentParser(prog="python -m flows.bootstrap", description=__doc__)
    parser.add_argument("--gpu-pools", nargs="*", default=[], metavar="NAME", help="more pools like gpu, such as h100")
    extra = parser.parse_args().gpu_pools
    require_server()
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        make_pools(client, POOLS | dict.fromkeys(extra, POOLS["gpu"]))
        make_limits(client)
        make_watch(client)
    deploy(extra)


def make_pools(client: Any, pools: dict[str, str]) -> None:
    """The work pools by name, with their descriptions."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    for name, description in pools.items():
        pool = WorkPoolCreate(name=name, type="process", description=description, base_job_template=template)
        try:
            client.create_work_pool(pool)
        except ObjectAlreadyExists:
            continue


def make_limits(client: Any) -> None:
    """One slot for each device of this machine: flows require them, so they must exist."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectNotFound

    from flows import devices

    for name in devices.limits():
        try:
            client.read_global_concurrency_limit_by_name(name)  # 0 if a person has closed the device
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))


def make_watch(client: Any) -> None:
    """Worker and run killed together: nothing is left to report it, but the heartbeats stop."""
    if client.request("POST", "/automations/filter", json={"automations": {"name": {"any_": [WATCH]}}}).json():
        return
    client.request("POST", "/automations/", json=watch()).raise_for_status()


def watch() -> dict[str, Any]:
    """The automation as the server's API takes it."""
    beat = "prefect.flow-run.heartbeat"
    return {
        "name": WATCH,
        "description": f"Marks a run Crashed after {SILENCE.seconds} s without a heartbeat.",
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "after": [beat],
            "expect": [beat, *(f"prefect.flow-run.{state}" for state in FINAL)],
            "match": {"prefect.resource.id": ["prefect.flow-run.*"]},
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": SILENCE.total_seconds(),
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": "No heartbeat: killed with its worker. A retry continues where training stood.",
            }
        ],
    }


def deploy(gpu_pools: list[str]) -> None:
    """Every deployment of flows/prefect.yaml; the command's output is shown if it fails."""
    prefect = str(Path(sys.executable).with_name("prefect"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump(deployments(gpu_pools)))
        command = [prefect, "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
        done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"gpd: deployments failed\n{done.stdout}{done.stderr}")


def deployments(gpu_pools: list[str]) -> dict[str, Any]:
    """flows/prefect.yaml, its deployments for the pool gpu once more for each further pool, named after it."""
    whole: dict[str, Any] = yaml.safe_load((ROOT / "flows" / "prefect.yaml").read_text())
    models = [one for one in whole["deployments"] if one["work_pool"]["name"] == "gpu"]
    for pool in gpu_pools:
        whole["deployments"] += [
            {**one, "name": one["name"].replace("gpu", pool), "work_pool": one["work_pool"] | {"name": pool}}
            for one in models
        ]
    return whole


if __name__ == "__main__":
    main()
