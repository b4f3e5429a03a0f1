"""Our flicker metric and VBench's temporal_flickering agree on the same files, to 1e-3."""

import json
from pathlib import Path

import numpy as np
import pytest

from gpd.data.clips import load_whole_clip
from gpd.evaluation.metrics.flicker import flicker
from gpd.vbench.flicker import flicker_as_vbench
from tests.vbench.flicker_clips import ENVIRONMENT, SCORES, ask_vbench, make_clips


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flicker") / "videos"
    make_clips(folder)
    return folder


def check(videos: Path, theirs: dict[str, float]) -> None:
    ours = {path.name: flicker_as_vbench(path) for path in videos.iterdir()}
    assert ours == pytest.approx({name: score for name, score in theirs.items() if name != "mean"}, abs=1e-3)
    assert np.mean(list(ours.values())) == pytest.approx(theirs["mean"], abs=1e-3)
    assert max(ours.values()) - min(ours.values()) > 0.15  # else agreement would say little


def test_with_what_vbench_said_of_these_clips(videos: Path) -> None:
    check(videos, json.loads(SCORES.read_text())["scores"])


def test_by_right_colours_too_where_the_clip_is_of_the_kind_that_we_give_vbench(videos: Path) -> None:
    """The last video of each prompt is written in BT.601, as for VBench; the others in BT.709."""
    theirs = json.loads(SCORES.read_text())["scores"]
    for path in videos.glob("*-4.mp4"):
        assert flicker(load_whole_clip(path).frames[None])[0] == pytest.approx(theirs[path.name], abs=1e-3)


@pytest.mark.skipif(not (ENVIRONMENT / ".requirements.txt").is_file(), reason="VBench's environment is not made")
def test_with_the_published_package(videos: Path) -> None:
    check(videos, ask_vbench(videos, ENVIRONMENT / "bin" / "python"))
