import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gpd.artifacts import UserError
from gpd.data.clips import write_mp4
from gpd.evaluation import compare
from gpd.evaluation.metrics import METRICS
from gpd.tiny.clips import all_scenes, draw

SCENES = all_scenes()[::150]
FRAMES = [draw(scene, index) for index, scene in enumerate(SCENES)]


def write(folder: Path, clips: list[np.ndarray], name: str = "clip{}", frames_per_second: float = 16.0) -> Path:
    for index, frames in enumerate(clips):
        write_mp4(folder / f"{name.format(index)}.mp4", frames, frames_per_second, crf=1)
    return folder


def figures(clips: Path, reference: Path) -> dict[str, float]:
    return {name: found["value"] for name, found in report_of(clips, reference)["metrics"].items()}


def report_of(clips: Path, reference: Path) -> dict[str, Any]:
    compare.run(clips, reference, clips.parent / "out.json")
    found: dict[str, Any] = json.loads((clips.parent / "out.json").read_text())
    return found


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    return write(tmp_path / "originals", FRAMES)


def test_identity_is_one_or_zero(originals: Path) -> None:
    found = report_of(originals, originals)
    assert found["is_paired"]
    for name, entry in found["metrics"].items():
        if entry["direction"] == "one":
            assert entry["value"] == pytest.approx(1), name
        assert entry["cost"] == METRICS[name].cost
    assert found["metrics"]["ssim"]["value"] == pytest.approx(1)
    assert found["metrics"]["colour_shift"]["value"] == 0


def test_blurred_frozen_and_hue_shifted_clips(originals: Path, tmp_path: Path) -> None:
    blurred = [np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in clip]) for clip in FRAMES]
    frozen = [np.repeat(clip[:1], len(clip), axis=0) for clip in FRAMES]
    turned = [np.roll(clip, 1, axis=-1) for clip in FRAMES]
    of_blurred = figures(write(tmp_path / "blurred", blurred), originals)
    assert of_blurred["spectral_space_ratio"] < 0.5
    assert of_blurred["motion_top_ratio"] == pytest.approx(1, abs=0.25)
    of_frozen = figures(write(tmp_path / "frozen", frozen), originals)
    assert of_frozen["motion_ratio"] == pytest.approx(0, abs=0.02)
    assert of_frozen["motion_top_ratio"] == pytest.approx(0, abs=0.02)
    assert of_frozen["spectral_space_ratio"] == pytest.approx(1, abs=0.1)
    of_turned = figures(write(tmp_path / "turned", turned), originals)
    assert of_turned["colour_shift"] > 1
    assert of_turned["motion_top_ratio"] == pytest.approx(1, abs=0.25)


def test_repeated_seeds_have_no_diversity(tmp_path: Path) -> None:
    several = write(tmp_path / "several", FRAMES[:3], "a prompt-{}")
    again = write(tmp_path / "again", [FRAMES[0]] * 3, "a prompt-{}")
    assert figures(several, several)["diversity_ratio"] == pytest.approx(1)
    assert figures(again, several)["diversity_ratio"] == 0
    assert report_of(several, again)["absent"]["diversity_ratio"].startswith("needs 2 seeds of a prompt on each side")


def test_other_names_are_measured_without_pairs(originals: Path, tmp_path: Path, capsys: Any) -> None:
    others = write(tmp_path / "others", FRAMES[:2], "other{}")
    shutil.copy(originals / "clip0.mp4", others / "clip0.mp4")
    found = report_of(others, originals)
    assert not found["is_paired"]
    assert "not paired, 1 names in common" in capsys.readouterr().out
    assert found["absent"]["psnr"] == "needs pairs: the same file names in both folders"
    assert {"motion_ratio", "spectral_space_ratio", "flicker", "saturation_ratio"} <= found["metrics"].keys()


def test_too_few_samples_are_told_with_how_many(originals: Path) -> None:
    absent = report_of(originals, originals)["absent"]
    number = len(FRAMES)
    assert absent["frechet_pixel"] == f"needs 30 clips on each side, found {number} and {number}"
    assert "latents" in absent["frechet_latent"]


def test_thirty_clips_have_a_frechet_distance(tmp_path: Path) -> None:
    small = [np.random.default_rng(index).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8) for index in range(31)]
    folder = write(tmp_path / "small", small)
    assert figures(folder, folder)["frechet_pixel"] == pytest.approx(0, abs=1e-9)
    others = write(tmp_path / "others", [clip // 2 for clip in small[:30]])
    assert figures(others, folder)["frechet_pixel"] > 0.1


@pytest.mark.parametrize(
    ("clip", "rate", "message"),
    [
        (FRAMES[0][:9], 16.0, r"bad/clip0.mp4: frames 9, but .*originals/clip0.mp4 has 17"),
        (FRAMES[0][:, :32], 16.0, r"bad/clip0.mp4: height 32, but .*originals/clip0.mp4 has 64"),
        (FRAMES[0][:, :, :48], 16.0, r"bad/clip0.mp4: width 48, but .* has 64"),
        (FRAMES[0], 8.0, r"bad/clip0.mp4: frames a second 8, but .* has 16"),
        (FRAMES[0][:1], 16.0, r"bad/clip0.mp4: holds 1 frames, needs 2"),
        (FRAMES[0][:, :8, :8], 16.0, r"bad/clip0.mp4: 8 x 8 px, needs at least 16 px a side"),
    ],
)
def test_clips_that_do_not_fit_are_named(tmp_path: Path, clip: np.ndarray, rate: float, message: str) -> None:
    bad = write(tmp_path / "bad", [clip], frames_per_second=rate)
    beside = write(tmp_path / "beside" / "originals", FRAMES[:1])
    with pytest.raises(UserError, match=message):
        compare.run(bad, beside, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_without_pairs_all_clips_must_be_alike(originals: Path, tmp_path: Path) -> None:
    mixed = write(tmp_path / "mixed", [FRAMES[0], FRAMES[1][:9]], "other{}")
    with pytest.raises(UserError, match=r"other1.mp4: frames 9, but .*other0.mp4 has 17"):
        compare.run(mixed, originals, tmp_path / "out.json")


def test_a_few_bad_clips_are_named_and_left_out_with_their_partners(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = write(tmp_path / "others", FRAMES)
    (others / "clip0.mp4").write_bytes(b"not a clip")
    write_mp4(others / "clip1.mp4", FRAMES[1][:9], 16.0)
    compare.run(others, originals, tmp_path / "out.json", 0.25)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["num_clips"] == found["num_reference_clips"] == len(FRAMES) - 2
    assert [Path(broken["file"]).name for broken in found["broken_clips"]] == ["clip0.mp4", "clip1.mp4"]
    assert "left out: " in (said := capsys.readouterr().out)
    assert "clip1.mp4: frames 9, but " in said
    whole = {folder: tmp_path / "whole" / folder.name for folder in (others, originals)}
    for folder, kept in whole.items():
        kept.mkdir(parents=True)
        for path in folder.glob("clip[2-9].mp4"):
            shutil.copy(path, kept)
    assert found["metrics"] == report_of(whole[others], whole[originals])["metrics"]
    with pytest.raises(UserError, match=rf"2 of {2 * len(FRAMES)} clips cannot be measured, --max-broken-share=0.05"):
        compare.run(others, originals, tmp_path / "out.json")


def test_all_bad_clips_are_named_before_anything_is_measured(originals: Path, tmp_path: Path) -> None:
    for name in ("clip1.mp4", "clip3.mp4"):
        (originals / name).write_bytes(b"not a clip")
    with pytest.raises(UserError, match=r"(?s)2 of .*clip1.mp4: cannot be decoded.*clip3.mp4: cannot be decoded"):
        compare.run(originals, originals, tmp_path / "out.json")


def test_names_in_one_folder_alone_are_listed(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = write(tmp_path / "others", FRAMES[:2], "clip{}")
    write(others, FRAMES[2:3], "mine{}")
    found = report_of(others, originals)
    said = capsys.readouterr().out
    assert f"only in {others}: mine0.mp4\n" in said
    assert found["only_reference"] == [f"clip{number}.mp4" for number in range(2, len(FRAMES))]
    names = ", ".join(found["only_reference"][:5])
    assert f"only in {originals}: {names}" in said


def test_clips_of_other_containers(originals: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in originals.iterdir():
        shutil.copy(path, moved / f"{path.stem}.MOV")
    found = report_of(moved, moved)
    assert found["num_clips"] == len(FRAMES)
    assert found["metrics"]["ssim"]["value"] == pytest.approx(1)


def test_a_bad_clip_is_not_shown_and_the_others_are(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = write(tmp_path / "others", FRAMES)
    (others / "clip0.mp4").write_bytes(b"not a clip")
    page = compare.run_beside(str(others), str(originals), tmp_path / "out.json", 0.2).read_text()
    assert "clip1.mp4" in page
    assert f"not shown: {others}/clip0.mp4: cannot be decoded" in capsys.readouterr().out


def test_empty_and_missing_folders_are_named(originals: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no clip in it"):
        compare.run(tmp_path / "empty", originals, tmp_path / "out.json")
    with pytest.raises(UserError, match="nowhere: no such folder"):
        compare.run(originals, tmp_path / "nowhere", tmp_path / "out.json")
    with pytest.raises(UserError, match=r"--out=out.csv: the file must end in .json"):
        compare.run(originals, originals, Path("out.csv"))
