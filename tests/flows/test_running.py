"""A deployment's run on a real server and a real worker, from the form to the registered student."""

import json
import sqlite3
from typing import Any

import pytest

from flows.outputs import evaluations_of_teacher, stages_in
from tests.flows.conftest import Machine, Server

RATE = "distill.stages.k8.learning_rate"


@pytest.fixture(scope="module")
def finished(server: Server, main_machine: Machine) -> str:
    """A run that had one student to train."""
    main_machine.ready()
    run_id = main_machine.begin("distill/distill-cpu", overrides={RATE: 2e-5})
    server.wait(run_id)
    return run_id


@pytest.fixture(scope="module")
def artifacts(server: Server, finished: str) -> dict[str, Any]:
    return server.artifacts(finished)


def test_the_registry_knows_the_student_and_the_run_that_made_it(finished: str, machine: Machine) -> None:
    with sqlite3.connect(machine.folder / "registry.db") as database:
        rows = database.execute("SELECT stage, exit_code FROM run WHERE flow_run_id = ?", (finished,)).fetchall()
        students = database.execute("SELECT count(*) FROM checkpoint WHERE stage = 'k8'").fetchone()
    assert ("distill@k8", 0) in rows
    assert not any(stage == "distill@k1" for stage, _ in rows)  # done before: taken from the cache
    assert students[0] >= 1


def test_the_name_says_what_the_run_does(server: Server, finished: str, machine: Machine) -> None:
    name = server.flow_run(finished)["name"]
    assert name.startswith("distill k1..k8 tiny-wan ")
    assert name.endswith(" learning_rate=2e-05")


def test_every_stage_is_a_task(server: Server, finished: str, machine: Machine) -> None:
    tasks = server.task_runs(finished)
    stages = {*stages_in(machine.folder), "registry sync"}
    assert stages <= set(tasks)
    assert {tasks[name]["state_type"] for name in stages} == {"COMPLETED"}


def test_the_log_holds_the_stages_own_lines(server: Server, finished: str, machine: Machine) -> None:
    log = server.log(finished)
    done_before = {"prepare", "encode", *evaluations_of_teacher(machine.folder)}
    assert not any(f"Running stage '{name}'" in log for name in done_before)
    assert "Running stage 'distill@k8'" in log
    assert "distill k8: 3/3 loss" in log
    assert "distill k8: residual" in log


def test_progress_is_shown_while_a_stage_runs(artifacts: dict[str, Any]) -> None:
    assert artifacts["progress-distill-k8"]["data"] == 100


def test_a_table_shows_students_beside_the_teacher(artifacts: dict[str, Any]) -> None:
    rows = json.loads(artifacts["distill-results"]["data"])
    assert {"k8", "teacher-6"} <= {row["subject"] for row in rows}


def test_the_lineage_links_commit_params_and_checkpoints(artifacts: dict[str, Any], machine: Machine) -> None:
    text = artifacts["distill-lineage"]["data"]
    assert RATE in text
    assert "| data/students/k8 | student |" in text
    assert "commit `" in text


def test_curves_and_report_are_there(artifacts: dict[str, Any]) -> None:
    assert str(artifacts["distill-curves"]["data"]).startswith("data:image/")
    assert "report.html" in artifacts["distill-report"]["data"]


def test_the_form_has_types_and_descriptions(server: Server) -> None:
    schema = server.ask("GET", "deployments/name/distill/distill-cpu")["parameter_openapi_schema"]["properties"]
    assert schema["retries"]["type"] == "integer"
    assert all(field.get("description") for field in schema.values())


def test_a_wrong_parameter_is_refused_before_anything_starts(server: Server, machine: Machine) -> None:
    found = server.ask("GET", "deployments/name/distill/distill-cpu")["id"]
    answer = server.http.post(
        f"{server.url}/deployments/{found}/create_flow_run",
        json={"parameters": {"retries": "many"}, "enforce_parameter_schema": True},
    )
    assert answer.status_code == 409 or answer.status_code == 422


def test_nothing_of_the_run_is_left_in_the_checkout(finished: str, machine: Machine) -> None:
    from tests.clone import run

    assert run("git", "status", "--porcelain", cwd=machine.folder) == ""
