"""A work tree in which `prepare` and `encode` have run: a source of a few clips, and a small Wan."""

import json
import os
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from gpd import artifacts
from gpd.data import encode, prepare
from gpd.data.clips import write_mp4
from gpd.params import Params, load_params
from gpd.tiny.clips import draw, split_scenes
from tests.workspace import add_pipeline

LATENTS = Path("data/latents")
CAPTIONS = [scene.caption for scene in split_scenes()[0][:8]]


def params_of(base: Path, **encode_settings: Any) -> Params:
    """The miniature's profile with few samples: three to a shard, two roll-outs on a grid of 8."""
    params = load_params(Path(str(resources.files("gpd.models") / "profiles" / "tiny-wan.yaml")))
    rollouts = params.encode.rollouts.model_copy(update={"num": 2})
    settings = {"samples_per_shard": 3, "rollouts": rollouts, "max_broken_share": 0.5} | encode_settings
    return params.model_copy(
        update={
            "model": params.model.model_copy(update={"path": str(base), "grid_steps": 8, "negative_prompt": "blurry"}),
            "prepare": params.prepare.model_copy(update={"source": "source", "num_evaluation_prompts": 1}),
            "encode": params.encode.model_copy(update=settings),
        }
    )


def write_source() -> None:
    """Eight prompts, four training clips of which one is no clip, one held-out clip."""
    artifacts.write_text(Path("source/prompts.txt"), "\n".join(CAPTIONS))
    artifacts.write_text(Path("source/evaluation.txt"), "a cat in the snow\n")
    captions = []
    for index, scene in enumerate(split_scenes()[0][:3]):
        write_mp4(Path(f"source/clips/{index}.mp4"), draw(scene, index), 16)
        captions.append({"file": f"{index}.mp4", "caption": scene.caption})
    artifacts.write_text(Path("source/clips/words.mp4"), "these are words")
    captions.insert(1, {"file": "words.mp4", "caption": "no clip at all"})
    write_captions("clips", captions)
    write_mp4(Path("source/evaluation_clips/0.mp4"), draw(split_scenes()[1][0], 9), 16)
    write_captions("evaluation_clips", [{"file": "0.mp4", "caption": "a cat in the snow"}])


def write_captions(folder: str, rows: list[dict[str, str]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    artifacts.write_text(Path("source") / folder / "captions.jsonl", text)


@pytest.fixture(scope="session")
def encoded(small_wan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work tree in which prepare and encode have run."""
    folder = tmp_path_factory.mktemp("encoded")
    add_pipeline(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        write_source()
        prepare.run(params_of(small_wan))
        encode.run(params_of(small_wan))
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def work_tree(encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in."""
    shutil.copytree(encoded, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hashes(folder: Path = LATENTS) -> dict[str, str]:
    return {path.name: artifacts.hash_file(path) for path in sorted(folder.iterdir())}


def work_folder() -> Path:
    (folder,) = (path for path in Path(".work/encode").iterdir() if path.is_dir())
    return folder
