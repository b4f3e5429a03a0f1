"""What counts as the same work, done by the process that was waited for."""

import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gpd import artifacts, documents
from gpd.cli import app
from gpd.data.meanwhile import was_made
from gpd.data.occupied import output_lock
from gpd.documents import PromptsFacts
from gpd.models.use import profile_text
from gpd.params import load_params
from gpd.stages import settings_of
from tests.data.test_occupied import hold
from tests.workspace import ROOT

LONG_AGO = time.time() - 1000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    Path("params.yaml").write_text(profile_text("tiny-wan"))
    source = Path(load_params().prepare.source)
    source.mkdir(parents=True)
    (source / "prompts.txt").write_text("a red box")
    for path in (Path("dvc.yaml"), Path("params.yaml"), source / "prompts.txt", source):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return tmp_path


@contextmanager
def at_work(stage: str = "prepare") -> Iterator[None]:
    params = load_params()
    settings = settings_of("prepare", params.model_dump())
    with documents.recording_run(stage, settings):
        facts = PromptsFacts(num_prompts=1, num_evaluation_prompts=0, num_clips=0)
        with artifacts.replacing(Path("data/prompts")) as made:
            documents.write_manifest(made, facts, inputs={}, params=settings)
        yield


def test_equal_work_that_ended_well_is_done() -> None:
    began = time.time() - 1
    with at_work():
        assert not was_made("prepare", load_params(), began), "it has not ended"
    assert was_made("prepare", load_params(), began)
    assert not was_made("prepare", load_params(), time.time() + 5), "it ended before the wait began"
    assert not was_made("encode", load_params(), began)
    assert not was_made("ablate", load_params(), began)


def test_other_settings_or_inputs_are_other_work() -> None:
    began = time.time() - 1
    with at_work():
        pass
    params = load_params()
    other = params.model_copy(update={"prepare": params.prepare.model_copy(update={"seed": params.prepare.seed + 1})})
    assert not was_made("prepare", other, began)
    (Path(params.prepare.source) / "prompts.txt").write_text("another")
    assert not was_made("prepare", params, began)


def test_a_failed_run_has_done_nothing() -> None:
    with pytest.raises(KeyboardInterrupt), at_work():
        raise KeyboardInterrupt
    assert not was_made("prepare", load_params(), time.time() - 60)


def test_the_command_waits_and_does_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, others = multiprocessing.Pipe()
    first = multiprocessing.get_context("fork").Process(target=hold, args=(output_lock("prepare"), others))
    first.start()
    ours.recv()
    refused = CliRunner().invoke(app, ["prepare"])
    assert "it was not started a second time" in str(refused.exception)
    really = time.sleep

    def sleep(seconds: float) -> None:  # as the waiting process does between two looks
        if first.is_alive():
            with at_work():
                pass
            ours.send(True)
            first.join()
        really(seconds)

    monkeypatch.setattr("time.sleep", sleep)
    waited = CliRunner().invoke(app, ["--wait", "prepare"])
    assert (waited.exit_code, waited.stdout) == (0, "prepare: done by the process that was waited for\n")
    assert "is at it since" in waited.stderr
