"""A workspace where everything up to the evaluations has really run, on the small random model."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from gpd import artifacts, documents
from gpd.documents import Probed, StudentFacts
from gpd.models import wan
from gpd.params import Params, StageParams, Subject
from gpd.tiny.clips import split_scenes
from tests.curricula import doubling_profile

NUM_PROMPTS = 3
ROOT = Path(__file__).parents[1]


def add_pipeline(folder: Path) -> None:
    """dvc.yaml, from which the pages read what determines their output."""
    shutil.copy(ROOT / "dvc.yaml", folder)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def workspace_params(base: Path) -> Params:
    """The miniature's profile on a grid of 8 with students of 8 and 2 steps, clips of 5 frames, two seeds."""
    params = Params.model_validate(doubling_profile())
    stage = params.distill.stages["k1"]
    stages = {
        "k1": stage,
        "k4": StageParams(**stage.model_dump() | {"horizon": 4, "previous": "data/students/k1"}),
    }
    teacher = {"checkpoint": str(base), "solver": "euler", "guidance_scale": 3.0}
    student = {"solver": "euler", "guidance_scale": 1.0}
    subjects = {
        "reference": Subject(**teacher | {"steps": 8}),
        "teacher-2": Subject(**teacher | {"steps": 2}),
        "teacher-4-unipc": Subject(**teacher | {"steps": 4, "solver": "unipc", "guidance_scale": 1.0}),
        "k1": Subject(**student | {"checkpoint": "data/students/k1", "steps": 8}),
        "k4": Subject(**student | {"checkpoint": "data/students/k4", "steps": 2}),
    }
    sample = {"batch": 3, "num_prompts": NUM_PROMPTS, "seeds": [0, 1], "diversity_prompts": 2, "diversity_seeds": 3}
    sample["num_kept_points"] = 2
    changes = {
        "model": {"path": str(base), "grid_steps": 8, "num_frames": 5},
        "prepare": {"source": "source", "num_evaluation_prompts": NUM_PROMPTS + 1},
        "distill": {"final_steps": 2, "stages": stages},
        "sample": {**sample, "subjects": subjects},
        "evaluate": {"batch": 4, "num_shown_clips": 2},
        "report": {"num_clips": 2},
    }
    return params.model_copy(
        update={name: getattr(params, name).model_copy(update=values) for name, values in changes.items()}
    )


def save_student(params: Params, base: Path, name: str, noise: float) -> None:
    """A student that is the teacher with a little noise on its weights."""
    network = wan.load_network(base, merge_padding=True)
    generator = torch.Generator().manual_seed(params.distill.stages[name].horizon)
    with torch.no_grad():
        for weight in network.parameters():
            weight += noise * weight.std() * torch.randn(weight.shape, generator=generator) if weight.numel() > 1 else 0
    horizon = params.distill.stages[name].horizon
    measured = {"residual": 0.1 * horizon, "rollout_distance": 0.2}
    with artifacts.replacing(Path(f"data/students/{name}")) as folder:
        wan.save_student(folder, network.transformer, base, grid_steps=8, shift=params.model.shift)
        (folder / "training.csv").write_text("iteration,loss,learning_rate\n1,0.5,0.001\n2,0.25,0.0005\n")
        documents.write_manifest(
            folder,
            StudentFacts(
                stage=name,
                horizon=horizon,
                horizons=[],
                grid_steps=8,
                sampling_steps=8 // horizon,
                forwards={"teacher": 100 * horizon, "previous": 20, "student": 300, "probe": 8},
                iterations=2,
                samples_seen=32,
                before=Probed(**measured),
                after=Probed(**{key: value / 2 for key, value in measured.items()}),
            ),
            inputs={"teacher": documents.identify(base), "previous": documents.identify(base)},
            params={"model": {"grid_steps": 8, "shift": params.model.shift}},
        )


@pytest.fixture(scope="session")
def evaluated(small_wan: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    """The workspace and its params. Do not write here: `workspace` gives a copy."""
    from gpd.data import encode, prepare
    from gpd.evaluation import evaluate
    from gpd.sampling import sample

    folder, params = tmp_path_factory.mktemp("evaluated"), workspace_params(small_wan)
    training, held_out = split_scenes()
    add_pipeline(folder)
    with working_in(folder):
        artifacts.write_text(Path("source/prompts.txt"), "\n".join(scene.caption for scene in training[:2]))
        artifacts.write_text(Path("source/evaluation.txt"), "\n".join(scene.caption for scene in held_out[:9]))
        prepare.run(params)
        encode.run(params)
        save_student(params, small_wan, "k1", 0.02)
        save_student(params, small_wan, "k4", 0.05)
        for name in params.sample.subjects:
            sample.run(params, name, "0/1")
            evaluate.run(params, name)
    return folder, params


@pytest.fixture
def workspace(evaluated: tuple[Path, Params], tmp_path: Path) -> Iterator[Params]:
    """A copy of the workspace to work in; yields the params."""
    folder, params = evaluated
    shutil.copytree(folder, tmp_path / "work", copy_function=copy_or_link)
    with working_in(tmp_path / "work"):
        yield params


def copy_or_link(source: str, target: str) -> None:
    """Links what is large and never written in place; a library writes a JSON where it lies, through a link as well."""
    if source.endswith((".safetensors", ".tar")):
        os.link(source, target)
    else:
        shutil.copy2(source, target)
