"""`gpd vbench` on the small model; VBench itself runs where its environment is made."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from gpd.artifacts import UserError
from gpd.data.clips import load_whole_clip
from gpd.params import Params
from gpd.vbench import benchmark
from gpd.vbench.benchmark import Request, describe
from gpd.vbench.total import QUALITY, SEMANTIC
from tests.vbench.flicker_clips import ENVIRONMENT, make_clips
from tests.vbench.flicker_clips import SUITE as FLICKER_SUITE

SUITE = [
    {"prompt_en": "a red circle moves left slowly over a plain background", "dimension": ["dynamic_degree"]},
    {"prompt_en": "a blue square, frozen in time", "dimension": ["temporal_flickering"]},
]
VIDEOS = Path("out/videos")
needs_vbench = pytest.mark.skipif(
    not (ENVIRONMENT / ".requirements.txt").is_file(), reason="VBench's environment is not made"
)


def run(params: Params, suite: list[dict[str, Any]] = SUITE, **given: Any) -> None:
    Path("full_info.json").write_text(json.dumps(suite))
    benchmark.run(lambda: params, request(full_info=Path("full_info.json"), out=Path("out"), **given))


def request(**given: Any) -> Request:
    dimensions = given.pop("dimension", [])
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Request))
    return Request(**nothing | {"dimensions": dimensions, "environment": ENVIRONMENT, "static_filter": True} | given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"clips": Path("a"), "subject": "k8"}, "k8 does not go with --clips=a"),
        ({"clips": Path("a"), "shard": "0/2"}, "--shard does not go with --clips=a"),
        ({"subject": "k8", "checkpoint": "x"}, "k8 and --checkpoint=x: give one of them"),
    ],
)
def test_contradictions_are_told_and_nothing_starts(given: dict[str, Any], message: str) -> None:
    def never() -> Params:
        raise AssertionError("params were read")

    with pytest.raises(UserError, match=message):
        benchmark.run(never, request(**given))


def sample(params: Params, shard: str = "0/1", subject: str = "k4", **given: Any) -> None:
    run(params, subject=subject, dimension=["temporal_flickering"], shard=shard, static_filter=False, **given)


def test_shards_make_all_clips_by_vbenchs_names_and_a_second_run_makes_none(
    workspace: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    sample(workspace, "0/2")
    sample(workspace, "1/2")
    assert sorted(path.name for path in VIDEOS.iterdir()) == [
        f"a blue square, frozen in time-{video}.mp4" for video in range(5)
    ]
    before = {path: path.stat().st_mtime_ns for path in VIDEOS.iterdir()}
    capsys.readouterr()
    sample(workspace)
    assert capsys.readouterr().out.strip() == "vbench: 5 of 5 clips in out/videos/, 0 of them new"
    assert {path: path.stat().st_mtime_ns for path in VIDEOS.iterdir()} == before


def test_a_lost_clip_comes_back_the_same_from_its_seed(workspace: Params) -> None:
    sample(workspace)
    clips = sorted(VIDEOS.iterdir())
    assert len({path.read_bytes() for path in clips}) == 5
    first = load_whole_clip(clips[1])
    clips[1].unlink()
    sample(workspace)
    again = load_whole_clip(clips[1])
    assert first.frames_per_second == again.frames_per_second == 16
    assert abs(first.frames.astype(int) - again.frames).max() <= 3  # another batch, other rounding


def test_flickering_has_25_clips_for_the_filter(workspace: Params) -> None:
    run(workspace, subject="k4", dimension=["temporal_flickering"], shard="0/1")
    assert len(list(VIDEOS.iterdir())) == 25


def test_clips_of_other_settings_are_refused(workspace: Params) -> None:
    sample(workspace)
    with pytest.raises(UserError, match=r"out/sampling.json: stored with checkpoint="):
        sample(workspace, subject="k1")
    Path("extended.txt").write_text("one\ntwo\n")
    with pytest.raises(UserError, match=r"sampling.json: stored with sampling_prompts=None, now it is '"):
        sample(workspace, sampling_prompts=Path("extended.txt"))
    Path("extended.txt").write_text("one\n")
    with pytest.raises(UserError, match=r"--sampling-prompts=extended.txt: 1 lines, the suite has 2 prompts"):
        sample(workspace, sampling_prompts=Path("extended.txt"))


def test_missing_weights_are_told_before_anything_is_sampled(
    workspace: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VBENCH_CACHE_DIR", "nowhere")
    with pytest.raises(UserError, match=r"dynamic_degree needs nowhere/raft_model/models/raft-things.pth"):
        run(workspace, subject="k4", dimension=["dynamic_degree"])
    assert not Path("out").exists()


def test_a_missing_clip_is_named(workspace: Params) -> None:
    make_clips(Path("mine"))
    Path("mine/a pond of noise, frozen in time-3.mp4").unlink()
    with pytest.raises(UserError, match=r"mine: 1 of 10 clips are missing; the first: a pond of noise.*-3.mp4"):
        score(workspace)


def score(params: Params, **given: Any) -> None:
    settings = {"clips": Path("mine"), "dimension": ["temporal_flickering"], "static_filter": False}
    run(params, FLICKER_SUITE, **settings | given)


@needs_vbench
def test_vbench_scores_clips_as_we_do(workspace: Params, capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(Path("mine"))
    Path("mine/.half.mp4.1.partial").touch()  # a leftover of a stopped run does not confuse VBench
    score(workspace)
    report = json.loads(Path("out/vbench.json").read_text())
    found = report["dimensions"]["temporal_flickering"]
    assert found["score"] == pytest.approx(found["own"], abs=1e-3)
    assert found["num_clips"] == 10
    assert report["total"] is None
    assert "no total: it needs all 16 dimensions; missing: subject_consistency" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"out/vbench.json: stored with num_prompts=None, now it is 1"):
        score(workspace, num_prompts=1)


@needs_vbench
def test_a_clip_that_vbench_cannot_read_is_named(workspace: Params) -> None:
    make_clips(Path("mine"))
    Path("mine/a pond of noise, frozen in time-2.mp4").write_bytes(b"not a clip")
    with pytest.raises(UserError, match=r"VBench scored 9 of 10 clips; it passed over a pond of noise.*-2.mp4"):
        score(workspace)


def test_the_total_never_stands_without_the_dynamic_degree() -> None:
    entries = {name: {"score": high, "num_clips": 5, "own": 1.0} for name, (_, high) in (QUALITY | SEMANTIC).items()}
    entries["dynamic_degree"]["score"] = 0.25
    text = describe({"dimensions": entries, "protocol": {"num_prompts": None, "static_filter": True}})
    assert "total 95.38 (quality 94.23, semantic 100.00), dynamic degree 25.00" in text
