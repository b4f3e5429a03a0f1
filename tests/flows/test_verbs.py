"""The flows that look at checkpoints: one is measured, the better one becomes the champion."""

import json

import pytest

from tests.flows.conftest import Machine, Server

pytestmark = pytest.mark.xdist_group("prefect")


def test_a_subject_is_shown_beside_the_teacher_and_the_first_student_becomes_champion(
    server: Server, machine: Machine
) -> None:
    nightly = machine.begin("nightly/nightly-cpu", at_once=2)
    server.wait(nightly)
    assert "k8 is the new champion" in server.log(nightly)
    assert "nightly-decision" in server.artifacts(nightly)
    evaluate = machine.begin("evaluate/evaluate-cpu", checkpoint="champion", at_once=2)
    server.wait(evaluate)
    assert "Running stage" not in server.log(evaluate)  # it was measured before
    rows = json.loads(server.artifacts(evaluate)["evaluate-results"]["data"])
    assert rows[0]["subject"] == "k8"
    assert {"k8", "teacher-6"} <= {row["subject"] for row in rows}
