import json
from pathlib import Path

import numpy as np
import pytest

from gpd.artifacts import UserError
from gpd.data.clips import load_clip
from gpd.tiny import draw as tiny_clips
from gpd.tiny.clips import draw, split_scenes

SOURCE = Path(__file__).parents[2] / "data/sources/tiny-wan"


def test_drawn_clips_show_their_captions(tmp_path: Path) -> None:
    tiny_clips.run(tmp_path / "clips", 3, held_out=True)
    rows = [json.loads(line) for line in (tmp_path / "clips/captions.jsonl").read_text().splitlines()]
    scenes = tiny_clips.shuffled_scenes(held_out=True)[:3]
    assert rows == [{"file": f"{i:04d}.mp4", "caption": scene.caption} for i, scene in enumerate(scenes)]
    for index, scene in enumerate(scenes):
        path = tmp_path / "clips" / f"{index:04d}.mp4"
        frames = load_clip(path, frames_per_second=16, num_frames=17, height=64, width=64)
        drawn = draw(scene, tiny_clips.FIRST_SEED[True] + index)
        assert 10 * np.log10(255**2 / np.mean((frames - drawn.astype(float)) ** 2)) > 32


def test_training_and_held_out_captions_are_apart() -> None:
    training, held_out = (set(tiny_clips.shuffled_scenes(held_out=flag)) for flag in (False, True))
    assert not training & held_out
    assert len(training | held_out) == 576


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists"):
        tiny_clips.run(tmp_path, 1, held_out=False)
    with pytest.raises(UserError, match="num=0"):
        tiny_clips.run(tmp_path / "new", 0, held_out=False)


def test_the_sources_prompts_are_the_grammars() -> None:
    training, held_out = split_scenes()
    assert (SOURCE / "prompts.txt").read_text().splitlines() == [scene.caption for scene in training]
    evaluation = (SOURCE / "evaluation.txt").read_text().splitlines()
    assert sorted(evaluation) == sorted(scene.caption for scene in held_out)
    assert evaluation == [scene.caption for scene in tiny_clips.shuffled_scenes(held_out=True)]


def test_the_sources_clips_are_small() -> None:
    clips = list(SOURCE.glob("*clips/*.mp4"))
    assert len(clips) == 192 + 64
    assert sum(path.stat().st_size for path in clips) < 2e6
