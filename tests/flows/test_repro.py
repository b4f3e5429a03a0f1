"""`make repro`: stages side by side on one machine, in a pipeline of shell commands."""

import os
from pathlib import Path

import pytest

from flows import process, repro
from tests.clone import run

# Each of the two waits until the other has begun; the one then fails as long as `given` is missing.
MEET = "touch {0}-began; for n in $(seq 300); do test -e {1}-began && break; sleep 0.1; done; test -e {1}-began"
LEFT = f"{MEET.format('left', 'right')} && echo $OMP_NUM_THREADS $GPD_PROCESSES > left"
RIGHT = f"{MEET.format('right', 'left')} && cp given right"
PIPELINE = f"""
stages:
  base: {{cmd: "echo $GPD_PROCESSES > base", outs: [base]}}
  left: {{cmd: "{LEFT}", deps: [base], outs: [left]}}
  right: {{cmd: "{RIGHT}", deps: [base], outs: [right]}}
  both: {{cmd: "cat left right > both", deps: [left, right], outs: [both]}}
"""
NEEDS = {"prepare": set(), "reference": {"prepare"}, "k4": {"prepare"}, "k8": {"k4"}, "of k4": {"k4", "reference"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GPD_PROCESSES", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path.parent / "site-cache"))
    process.start_again()
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text("{}")
    run("dvc", "init", "--no-scm", "-q", cwd=tmp_path)
    return tmp_path


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two stages at once need two cores")
def test_stages_go_side_by_side_and_a_failed_one_is_made_up_for(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(process.StageFailedError) as failed:
        repro.run(folder, 2)
    assert failed.value.stage == "right"
    assert (folder / "left").read_text() == "1 1\n"  # it has come to its end
    assert (folder / "base").read_text() == "\n"  # alone, with all cores
    assert "git add" not in capfd.readouterr().out
    (folder / "given").write_text("given")
    repro.run(folder, 2)
    assert (folder / "both").read_text() == "1 1\ngiven"
    assert repro.stale_stages(folder) == {}


def test_first_come_those_that_most_wait_for() -> None:
    assert repro.by_urgency(["of k4", "reference", "k8", "k4"], NEEDS) == ["k4", "reference", "k8", "of k4"]


def test_each_stages_loss_has_a_curve() -> None:
    assert repro.with_curve("distill k4: 1/60 loss 0.4") == "distill k4: 1/60 loss 0.4 ▁"
    assert repro.with_curve("distill k8: 1/90 loss 0.1") == "distill k8: 1/90 loss 0.1 ▁"
    assert repro.with_curve("distill k4: 9/60 loss 0.2") == "distill k4: 9/60 loss 0.2 █▁"
    assert repro.with_curve("sample k4: 1/5 parts") == "sample k4: 1/5 parts"
