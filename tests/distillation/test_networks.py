"""Stages that train factors on one set of weights: through the stage's own command, and what it publishes."""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor

from gpd import documents
from gpd.artifacts import UserError, write_json
from gpd.core.randomness import seeded_noise
from gpd.distillation import distill, loading
from gpd.distillation.saving.train_state import MARKER, TrainState
from gpd.distillation.stage import Stage
from gpd.distillation.trainer import train_stage
from gpd.documents import SamplesFacts, StudentFacts
from gpd.models.adapted import AdaptedModel
from gpd.models.adapters import WEIGHTS_FILE
from gpd.models.families import open_model
from gpd.models.roles import Role
from gpd.params import Params, Probe, StageParams, States
from gpd.sampling import generate, sample
from gpd.sampling.subjects import load_student
from tests.distillation.test_trainer import StoppedError, make_stage
from tests.models.wan.states import CAPTION, distance
from tests.plain import plain_latents
from tests.toy import BlockNetwork, block_networks
from tests.workspace import working_in

SHAPE = (1, 16, 2, 8, 8)


def of_rank(params: Params, rank: int, **changes: Any) -> Params:
    """The workspace's params with two short stages of factors, k1 and k2."""
    quickly = {"previous": params.model.path, "iterations": 3, "batch": 2, "learning_rate": 0.03}
    first = params.distill.stages["k1"].model_copy(update=quickly)
    second = first.model_dump() | {"horizon": 2, "tail": 1, "previous": "data/students/k1"}
    quick = {
        "stages": {"k1": first, "k2": StageParams(**second)},
        "states": States(stream=1.0, clips=0.0, rollouts=0.0),
        "pool_slots": 2,
        "probe": Probe(num_states=2),
        "lora_rank": rank,
        "ema_decay": 0.5,
        "warmup_iterations": 0,
    }
    return params.model_copy(update={"distill": params.distill.model_copy(update=quick | changes)})


@pytest.fixture(scope="module")
def distilled(evaluated: tuple[Path, Params], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    """A workspace in which both stages have run; do not write there."""
    folder, params = tmp_path_factory.mktemp("factors") / "work", of_rank(evaluated[1], 4)
    shutil.copytree(evaluated[0], folder, copy_function=os.link)
    with working_in(folder):
        distill.run(params, "k1")
        distill.run(params, "k2")
    return folder, params


@pytest.fixture
def params(distilled: tuple[Path, Params], monkeypatch: pytest.MonkeyPatch) -> Params:
    """Those of the workspace, which is the working directory."""
    monkeypatch.chdir(distilled[0])
    return distilled[1]


def subject_latents(params: Params, folder: Path, noise: Tensor) -> Tensor:
    """What `gpd sample` makes of noise with the student in `folder`."""
    base = open_model(params.model.path)
    subject = load_student(params, folder, torch.zeros(1, 64), "cpu")
    return subject.walk([noise[0]], base.load_text_encoder().encode([CAPTION]))[-1]


def test_a_stage_publishes_its_factors_and_no_weights_of_the_base(params: Params) -> None:
    folder = Path("data/students/k1")
    manifest = documents.load_manifest(folder, StudentFacts)
    assert set(manifest.files) == {
        WEIGHTS_FILE,
        "adapter.json",
        "README.md",
        "scheduler/scheduler_config.json",
        "training.csv",
    }
    assert not documents.verify(folder)
    assert manifest.facts.base_path == params.model.path
    tensors = load_file(folder / WEIGHTS_FILE)
    assert len(tensors) == 2 * 20
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert all(name.startswith("transformer.blocks.") for name in tensors)


@pytest.mark.parametrize("name", ["k1", "k2"])
def test_plain_diffusers_samples_what_the_student_does(params: Params, name: str, tmp_path: Path) -> None:
    from diffusers import UniPCMultistepScheduler, WanPipeline

    folder, steps = Path("data/students") / name, 8 // int(name[1:])
    noise = seeded_noise(SHAPE[1:], seed=0, index=0)[None]
    ours = subject_latents(params, folder, noise)
    pipeline = WanPipeline.from_pretrained(params.model.path)
    pipeline.load_lora_weights(folder)
    pipeline.scheduler = UniPCMultistepScheduler.from_pretrained(folder / "scheduler")
    assert distance(ours, plain_latents(pipeline, CAPTION, noise, steps=steps)) < 1e-4
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    assert distance(ours, plain_latents(pipeline, CAPTION, noise, steps=steps)) < 1e-4

    student = open_model(folder)
    assert isinstance(student, AdaptedModel)
    student.save_merged(tmp_path / "merged")
    assert not isinstance(open_model(tmp_path / "merged"), AdaptedModel)
    scheduler = "scheduler/scheduler_config.json"
    assert (tmp_path / "merged" / scheduler).read_bytes() == (folder / scheduler).read_bytes()
    assert distance(ours, plain_latents(tmp_path / "merged", CAPTION, noise, steps=steps)) < 1e-4
    base = plain_latents(Path(params.model.path), CAPTION, noise, steps=steps)
    assert distance(ours, base) > 1e-2


def make(params: Params, name: str) -> Stage:
    return loading.make_stage(params, name, Path("unused"), torch.device("cpu"))


def test_a_stage_begins_from_the_factors_of_the_one_before(params: Params) -> None:
    stage, tensors = make(params, "k2"), load_file(Path("data/students/k1") / WEIGHTS_FILE)
    for role in (stage.student, stage.previous):
        assert isinstance(role, Role)
        assert all(torch.equal(weight, tensors[name]) for name, weight in role.state_dict().items())
        assert role.roles is stage.teacher.roles
    ends = load_file(Path("data/students/k2") / WEIGHTS_FILE)
    assert not any(torch.equal(ends[name], tensors[name]) for name in tensors)


def test_the_first_student_is_the_base_model_to_the_last_bit(params: Params) -> None:
    stage = make(params, "k1")
    assert stage.previous is None
    state = (torch.randn(SHAPE), torch.tensor([500.0]), torch.randn(1, 4, 64))
    with torch.no_grad():
        assert torch.equal(stage.student(*state), stage.teacher(*state))


def test_gradients_moments_and_train_state_are_of_the_factors_alone(params: Params, tmp_path: Path) -> None:
    def stop(iteration: int, loss: float) -> None:
        if iteration == 2:
            raise StoppedError

    often = {"save_every_seconds": 0}
    stage = dataclasses.replace(make(of_rank(params, 4, **often), "k2"), work=tmp_path)
    with pytest.raises(StoppedError):
        train_stage(stage, Accelerator(cpu=True), stop)
    trained = {name for name, weight in stage.student.roles.network.named_parameters() if weight.requires_grad}
    assert len(trained) == 40
    assert all(".lora_" in name and ".student." in name for name in trained)
    saved = TrainState(tmp_path, save_every_seconds=0).load()
    assert saved is not None
    assert (tmp_path / MARKER).is_file()
    names = set(stage.student.state_dict())
    learnt = {f"{role}.{name}" for role in ("student", "average") for name in names} | {"average.n_averaged"}
    assert {name for name in saved.places if not name.startswith(("optimizer.", "pool."))} == learnt
    assert len([name for name in saved.places if name.startswith("optimizer.")]) == 3 * 40


def test_a_consistency_stage_learns_from_the_average_of_the_factors(params: Params) -> None:
    stage = make(params, "k1")
    states = States(stream=0.0, clips=1.0, rollouts=0.0)
    distill = stage.distill.model_copy(update={"objective": "consistency", "states": states})
    stage = dataclasses.replace(stage, distill=distill, clips=[(torch.randn(SHAPE[1:]), 0)])
    published, ledger = train_stage(stage, Accelerator(cpu=True))
    assert isinstance(published, Role)
    assert published.roles is stage.teacher.roles
    assert published.name != "student"
    assert len(ledger.losses) == 3


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_training_moves_the_factors_and_nothing_else(tmp_path: Path, ema_decay: float) -> None:
    stage = make_stage(tmp_path, 2, 1, 8, lora_rank=1, ema_decay=ema_decay)
    networks = block_networks(1)
    student = networks["student"]
    fresh = {name: weight.clone() for name, weight in student.state_dict().items()}
    published, _ = train_stage(dataclasses.replace(stage, **networks), Accelerator(cpu=True))
    assert not any(torch.equal(weight, fresh[name]) for name, weight in published.state_dict().items())
    after = {name.replace(".base_layer", ""): weight for name, weight in student.roles.network.state_dict().items()}
    assert all(torch.equal(weight, after[name]) for name, weight in BlockNetwork().state_dict().items())


def test_a_stage_of_whole_weights_may_begin_from_an_adapter(params: Params) -> None:
    stage = make(of_rank(params, 0), "k2")
    assert (
        stage.student.state_dict().keys()
        == open_model(params.model.path).load_network(merge_padding=True).state_dict().keys()
    )
    state = (torch.randn(SHAPE), torch.tensor([500.0]), torch.randn(1, 4, 64))
    assert stage.previous is not None
    with torch.no_grad():
        assert (stage.student(*state) - stage.previous(*state)).abs().max() < 1e-5
        assert (stage.student(*state) - stage.teacher(*state)).abs().max() > 1e-3


def test_a_previous_student_that_does_not_fit_is_refused(params: Params, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"distill.lora_rank=3, but .*k1/pytorch_lora.* is an adapter of rank 4"):
        make(of_rank(params, 3), "k2")
    shutil.copytree("data/students/k1", tmp_path / "k1")
    open_model("data/students/k1").save_merged(tmp_path / "whole")
    manifest = documents.load_manifest(Path("data/students/k1"), StudentFacts)
    documents.write_manifest(tmp_path / "whole", manifest.facts, inputs=manifest.inputs, params=manifest.params)
    with pytest.raises(
        UserError, match=r"distill.stages.k2.previous=.*/whole: whole weights; with distill.lora_rank=4"
    ):
        make(begun_from(params, tmp_path / "whole"), "k2")
    raw = documents.load_json(tmp_path / "k1/adapter.json", "")
    write_json(tmp_path / "k1/adapter.json", raw | {"base": {"kind": "base", "content": "0" * 64}})
    documents.write_manifest(tmp_path / "k1", manifest.facts, inputs=manifest.inputs, params=manifest.params)
    with pytest.raises(UserError, match=r"previous=.*/k1: an adapter for another base model than model.path="):
        make(begun_from(params, tmp_path / "k1"), "k2")


def begun_from(params: Params, folder: Path) -> Params:
    k2 = params.distill.stages["k2"].model_copy(update={"previous": str(folder)})
    return of_rank(params, 4, stages={**params.distill.stages, "k2": k2})


def test_the_identity_is_that_of_the_factors_and_their_base_wherever_it_lies(params: Params, tmp_path: Path) -> None:
    shutil.copytree(params.model.path, tmp_path / "base")
    elsewhere = params.model_copy(update={"model": params.model.model_copy(update={"path": str(tmp_path / "base")})})
    shutil.copytree(".", tmp_path / "work", copy_function=os.link)
    here = documents.identify(Path("data/students/k1"))
    with working_in(tmp_path / "work"):
        distill.run(elsewhere, "k1")
        assert documents.identify(Path("data/students/k1")) == here
        document = documents.load_json(Path("data/students/k1/adapter.json"), "")
        write_json(Path("data/students/k1/adapter.json"), document | {"base": {"kind": "base", "content": "0" * 64}})
        assert documents.verify(Path("data/students/k1")) == ["adapter.json: content changed"]


def test_an_adapter_is_sampled_and_shown_like_any_student(params: Params, tmp_path: Path) -> None:
    subjects = {name: params.sample.subjects[name] for name in ("reference", "k1")}
    k2 = subjects["k1"].model_copy(update={"checkpoint": "data/students/k2", "steps": 4})
    chosen = params.model_copy(update={"sample": params.sample.model_copy(update={"subjects": {**subjects, "k2": k2}})})
    sample.run(chosen, "k2", "0/1")
    facts = documents.load_manifest(Path("data/samples/k2"), SamplesFacts).facts
    assert (facts.subject, facts.steps, facts.guidance_scale) == ("k2", 4, 1.0)
    generate.run(chosen, prompts=[CAPTION], out=tmp_path / "clip.mp4", student="k2")
    assert (tmp_path / "clip.mp4").is_file()
