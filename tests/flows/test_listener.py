"""What a stage's lines tell: without a server."""

import logging

import pytest

from flows.listener import Listener, Progress, parse_progress, slug


def test_progress_is_read_from_a_line() -> None:
    progress = parse_progress("distill k1: 35/350 loss 0.1234")
    assert progress == Progress("distill k1", 35, 350, "loss 0.1234")
    assert progress.percent == 10.0
    assert parse_progress("evaluate k8: 6/6") == Progress("evaluate k8", 6, 6, "")
    assert parse_progress("> gpd distill k1") is None
    assert parse_progress("report: /a/1/2.html") is None


def test_a_flood_is_one_record_and_dvcs_hints_are_none(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener("distill@k1", logging.getLogger("stage"))
    with caplog.at_level(logging.INFO):
        listener(["To track the changes with git, run:", "\tgit add dvc.lock", "done"])
        listener([f"line {number}" for number in range(1000)])
    assert [len(record.getMessage().splitlines()) for record in caplog.records] == [1, 1000]


def test_keys_of_artifacts_are_lower_case_with_dashes() -> None:
    assert slug("rate=1e-4: Distill@K8") == "rate-1e-4-distill-k8"
