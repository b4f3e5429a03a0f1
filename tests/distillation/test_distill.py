import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn.modules.module import register_module_forward_hook

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.core.sampler import sample
from gpd.core.schedule import make_grid
from gpd.core.velocity import stack_text
from gpd.data import encode, prepare
from gpd.data.clips import write_mp4
from gpd.distillation import distill, loading
from gpd.distillation.processes.stopping import StoppedError
from gpd.distillation.saving.train_state import MARKER
from gpd.models import wan
from gpd.models.network import VideoNetwork
from gpd.models.use import profile_text
from gpd.params import Params
from gpd.tiny.clips import draw, split_scenes
from tests.attack.miniature import raw_params
from tests.curricula import doubling_profile
from tests.patience import ends_within
from tests.plain import plain_latents
from tests.workspace import add_pipeline, copy_or_link, working_in

SHAPE = (1, 16, 2, 8, 8)
TRAINING, HELD_OUT = split_scenes()


def params_of(base: Path) -> Params:
    """The miniature's profile on a grid of 8: a student of 2 steps that learns 4 and 8 steps beside."""
    raw: dict[str, Any] = yaml.safe_load(profile_text("tiny-wan"))
    raw["model"] |= {"path": str(base), "grid_steps": 8, "num_frames": 5}
    raw["prepare"] |= {"source": "source", "num_evaluation_prompts": 1}
    raw["distill"] |= {"final_steps": 2, "horizons": [1, 2], "pool_slots": 4, "probe": {"num_states": 2}}
    stage = {"horizon": 4, "tail": 4, "previous": str(base), "iterations": 6, "batch": 4, "learning_rate": 1e-3}
    raw["distill"]["stages"] = {"k4": stage}
    reference = {"checkpoint": str(base), "steps": 8, "solver": "euler", "guidance_scale": 3.0}
    raw["sample"] |= {"num_prompts": 1, "num_kept_points": 2, "subjects": {"reference": reference}}
    return Params.model_validate(raw)


def write_source() -> None:
    """Two prompts, two clips, one held-out prompt."""
    scenes = TRAINING[:2]
    artifacts.write_text(Path("source/prompts.txt"), "\n".join(scene.caption for scene in scenes))
    artifacts.write_text(Path("source/evaluation.txt"), HELD_OUT[0].caption)
    rows = [{"file": f"{n}.mp4", "caption": scene.caption} for n, scene in enumerate(scenes)]
    for row, scene in zip(rows, scenes, strict=True):
        write_mp4(Path("source/clips") / row["file"], draw(scene, 0), 16)
    artifacts.write_text(Path("source/clips/captions.jsonl"), "\n".join(map(json.dumps, rows)))


@pytest.fixture(scope="module")
def student(small_wan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a student of several horizons, as its stage publishes it."""
    folder = tmp_path_factory.mktemp("distilled")
    add_pipeline(folder)
    with working_in(folder):
        params = params_of(small_wan)
        write_source()
        prepare.run(params)
        encode.run(params)
        distill.run(params, "k4")
    return folder / "data/students/k4"


def weights(folder: Path) -> torch.Tensor:
    network = wan.load_network(folder, merge_padding=True)
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def test_the_command_trains_the_same_student_on_two_processes(student: Path, small_wan: Path, tmp_path: Path) -> None:
    add_pipeline(tmp_path)
    for folder in ("data/prompts", "data/latents"):
        shutil.copytree(student.parents[2] / folder, tmp_path / folder)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params_of(small_wan).model_dump(mode="json")))
    environment = {**os.environ, "GPD_PROCESSES": "2", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "gpd", "distill", "k4"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("distill k4: residual") == 1  # the main process speaks
    (record,) = (tmp_path / ".work/runs").glob("*.json")
    ours = documents.load_manifest(tmp_path / "data/students/k4", documents.StudentFacts).facts
    theirs = documents.load_manifest(student, documents.StudentFacts).facts
    assert json.loads(record.read_text())["forwards"] == ours.forwards == theirs.forwards
    one, two = weights(student), weights(tmp_path / "data/students/k4")
    assert (one - two).norm() < 1e-5 * one.norm()  # its first loss is 3e-5, to 4 digits


def test_the_command_saves_on_sigterm_and_says_so(student: Path, small_wan: Path, tmp_path: Path) -> None:
    add_pipeline(tmp_path)
    for folder in ("data/prompts", "data/latents"):
        shutil.copytree(student.parents[2] / folder, tmp_path / folder)
    raw = params_of(small_wan).model_dump(mode="json")
    raw["distill"]["save_every_seconds"] = 1
    raw["distill"]["stages"]["k4"]["iterations"] = 10_000
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    environment = {**os.environ, "GPD_PROCESSES": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-m", "gpd", "distill", "k4"]
    command = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    while not (markers := list(tmp_path.glob(f".work/**/{MARKER}"))):
        assert command.poll() is None, command.communicate()
        time.sleep(0.05)
    with ends_within(10, command):
        command.terminate()
        errors = command.communicate()[1]
    assert command.returncode == 143
    done = json.loads(markers[0].read_text())["iteration"]
    assert f"gpd: distill k4: stopped by SIGTERM after iteration {done} of 10000" in errors
    (record,) = (tmp_path / ".work/runs").glob("*.json")
    assert json.loads(record.read_text())["exit_code"] == 143
    assert not (tmp_path / "data/students/k4").exists()


def test_the_manifest_names_the_shorter_horizons_and_their_file(student: Path) -> None:
    manifest = documents.load_manifest(student, documents.StudentFacts)
    assert (manifest.facts.horizon, manifest.facts.horizons) == (4, [1, 2])
    assert wan.STEPS_FILE in manifest.files


def test_plain_diffusers_samples_the_stages_own_steps(student: Path) -> None:
    noise, caption = seeded_noise(SHAPE, seed=0, index=0), HELD_OUT[0].caption
    theirs = plain_latents(student, caption, noise, steps=2)
    text = stack_text(wan.TextEncoder(student).encode([caption]))
    ours = sample(wan.load_network(student, merge_padding=True), noise, text, make_grid(8, 3.0).every(4))[-1]
    assert (ours - theirs).norm() / theirs.norm() < 1e-4


def test_the_shorter_steps_were_learnt_apart(student: Path) -> None:
    network = wan.load_network(student, merge_padding=True)
    noise, text, timesteps = seeded_noise(SHAPE, seed=0, index=0), torch.randn(1, 4, 64), torch.tensor([999])
    with torch.no_grad():
        velocities = [ask(noise, timesteps, text) for ask in (network, network.at(1), network.at(2))]
    assert not any(torch.equal(velocities[a], velocities[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_an_objective_that_does_not_fit_is_refused_before_anything_is_read() -> None:
    params = Params.model_validate(doubling_profile())
    rival = params.model_copy(update={"distill": params.distill.model_copy(update={"objective": "piecewise_flow"})})
    with pytest.raises(UserError, match=r"distill\.objective='piecewise_flow' has no hand-over"):
        distill.run(rival, "k8")


def test_a_consistency_stage_loads_no_previous_student(student: Path, small_wan: Path) -> None:
    """No target asks it, though the stage's tail is shorter than its horizon."""
    params = params_of(small_wan)
    states = params.distill.states.model_copy(update={"stream": 0.0, "clips": 1.0})
    stage = params.distill.stages["k4"].model_copy(update={"tail": 1})
    changes = {"objective": "consistency", "horizons": [], "states": states, "stages": {"k4": stage}}
    params = params.model_copy(update={"distill": params.distill.model_copy(update=changes)})
    with working_in(student.parents[2]):
        made = loading.make_stage(params, "k4", Path("unused"), torch.device("cpu"))
    assert made.previous is None


def stalling(params: Params) -> Params:
    """A stage whose rate is too small to learn anything, on a small pool."""
    stage = params.distill.stages["k1"].model_copy(
        update={"previous": params.model.path, "iterations": 40, "batch": 2, "learning_rate": 1e-12}
    )
    small = {"pool_slots": 4, "probe": params.distill.probe.model_copy(update={"num_states": 2})}
    states = params.distill.states.model_copy(update={"stream": 1.0, "clips": 0.0})
    changes = {**small, "states": states, "stall_window": 2, "stages": {**params.distill.stages, "k1": stage}}
    return params.model_copy(update={"distill": params.distill.model_copy(update=changes)})


def test_the_manifest_holds_the_iterations_really_done(workspace: Params) -> None:
    distill.run(stalling(workspace), "k1")
    facts = documents.load_manifest(Path("data/students/k1"), documents.StudentFacts).facts
    assert 4 <= facts.iterations < 40
    assert facts.samples_seen == 2 * facts.iterations
    rows = csv.DictReader(Path("data/students/k1/training.csv").read_text().splitlines())
    assert [int(row["iteration"]) for row in rows][-1] == facts.iterations


def test_what_can_be_refused_is_refused_before_anything_is_read() -> None:
    params = Params.model_validate(doubling_profile())  # batches of 6
    distill.check(params, "k8", 3)
    with pytest.raises(UserError, match=r"distill\.stages has no 'k3'; it has k1, k2, k4, k8"):
        distill.check(params, "k3", 1)
    with pytest.raises(UserError, match=r"distill\.stages\.k8\.batch=6 on 4 processes: they do not divide it"):
        distill.check(params, "k8", 4)


def records(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in folder.glob(".work/runs/*.json")]
    return sorted((one for one in found if one["stage"] == "distill@k4"), key=lambda record: record["started"])


def test_a_signal_ends_a_stage_with_a_line_and_a_record_and_the_next_run_goes_on(
    encoded_miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of its second iteration; what the second run publishes is what an uninterrupted one does."""
    monkeypatch.setenv("GPD_PROCESSES", "3")  # which do not divide its batch, and which it has not started
    params = Params.model_validate(raw_params())
    for name in ("whole", "stopped"):
        shutil.copytree(encoded_miniature, tmp_path / name, copy_function=copy_or_link)
    began = time.monotonic()
    with working_in(tmp_path / "whole"):
        distill.run(params, "k4")
    seconds = time.monotonic() - began
    (record,) = records(tmp_path / "whole")
    manifest = documents.load_manifest(tmp_path / "whole/data/students/k4", documents.StudentFacts)
    assert capsys.readouterr().out.startswith("distill k4: residual ")
    assert (record["exit_code"], record["device"], record["forwards"]) == (0, "cpu", manifest.facts.forwards)
    assert 0 < record["device_seconds"] < seconds
    assert [output["content"] for output in record["outputs"]] == [manifest.content]

    calls = iter(range(1, 100))

    def tell(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if isinstance(module, VideoNetwork) and output.requires_grad and next(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with working_in(tmp_path / "stopped"):
        hook = register_module_forward_hook(tell)
        try:
            with pytest.raises(StoppedError) as stopped:
                distill.run(params, "k4")
        finally:
            hook.remove()
        assert stopped.value.code == 143
        assert capsys.readouterr().err.startswith("gpd: distill k4: stopped by SIGTERM after iteration 2 of 6")
        assert not Path("data/students/k4").exists()
        assert list(Path(".work").glob(f"**/{MARKER}"))
        distill.run(params, "k4")
        assert not list(Path(".work").glob(f"**/{MARKER}"))
    assert [one["exit_code"] for one in records(tmp_path / "stopped")] == [143, 0]
    again = documents.load_manifest(tmp_path / "stopped/data/students/k4", documents.StudentFacts)
    assert again.content == manifest.content


def test_one_of_several_processes_is_refused_a_batch_that_they_do_not_divide(
    miniature: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of 2; one that is alone is not asked how many it could start, for it has not started them."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UserError, match=r"distill\.stages\.k4\.batch=2 on 3 processes"):
        distill.run(miniature, "k4")
