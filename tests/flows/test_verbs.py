"""The flows that look at checkpoints: one is measured, the better one becomes the champion."""

import json

from flows.evaluate import evaluate
from flows.nightly import nightly
from tests.flows.conftest import Machine, Server


def test_a_subject_is_shown_beside_the_teacher_and_the_first_student_becomes_champion(
    server: Server, main_machine: Machine
) -> None:
    night = main_machine.run(nightly, at_once=2)
    server.wait(night)
    assert "k8 is the new champion" in server.log(night)
    assert "nightly-decision" in server.artifacts(night)
    shown = main_machine.run(evaluate, checkpoint="champion", at_once=2)
    server.wait(shown)
    assert "Running stage" not in server.log(shown)  # it was measured before
    rows = json.loads(server.artifacts(shown)["evaluate-results"]["data"])
    assert rows[0]["subject"] == "k8"
    assert {"k8", "teacher-6"} <= {row["subject"] for row in rows}
