"""`python -m flows.bootstrap`: pools, limits, deployments and the watch over silent runs, on the server in use."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from flows.settings import ROOT, require_server

POOLS = {"cpu": "Machines without a GPU.", "gpu": "Machines with GPUs; each run gets a device of its own."}
WATCH = "gpd: a silent run has crashed"
SILENCE = timedelta(seconds=95)  # three heartbeats
FINAL = ("Completed", "Failed", "Cancelled", "Crashed")


def main() -> None:
    """Brings the server up to what this repository expects; a second time changes nothing."""
    require_server()
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        make_pools(client)
        make_limits(client)
        make_watch(client)
    deploy()


def make_pools(client: Any) -> None:
    """The work pools that flows/prefect.yaml names."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    for name, description in POOLS.items():
        pool = WorkPoolCreate(name=name, type="process", description=description, base_job_template=template)
        try:
            client.create_work_pool(pool)
        except ObjectAlreadyExists:
            continue


def make_limits(client: Any) -> None:
    """One slot for each device of this machine: flows ask for them strictly, so they must exist."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectNotFound

    from flows import devices

    for name in devices.limits():
        try:
            client.read_global_concurrency_limit_by_name(name)  # 0 where a person has closed the device
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))


def make_watch(client: Any) -> None:
    """Worker and run killed together: nobody is left to say so, but the heartbeats stop."""
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


def deploy() -> None:
    """Every deployment of flows/prefect.yaml; what the command says is shown if it fails."""
    prefect = str(Path(sys.executable).with_name("prefect"))
    command = [prefect, "--no-prompt", "deploy", "--all", "--prefect-file", "flows/prefect.yaml"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"gpd: deployments failed\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
