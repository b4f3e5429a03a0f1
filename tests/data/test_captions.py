from pathlib import Path

import pytest

from gpd import artifacts
from gpd.data import prepare
from tests.data.sources import error_of, params_of, read, write_source

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_clips_have_hash_caption_and_split() -> None:
    write_source(
        evaluation="e0\ne1\ne2\ne3\n",
        clips=[{"file": "a.mp4", "caption": "hello"}, {"file": "sub/b.webm", "caption": "x", "split": "evaluation"}],
        evaluation_clips=[{"file": "c.mkv", "caption": "e1"}],
    )
    prepare.run(params_of(4))
    a, b, c = read("clips.jsonl")
    sha256 = artifacts.hash_file(Path("source/clips/a.mp4"))
    assert a == {
        "id": f"c-{sha256[:16]}",
        "file": "clips/a.mp4",
        "sha256": sha256,
        "caption": "hello",
        "text": "p-2cf24dba5fb0a30e",
        "split": "train",
    }
    assert (b["file"], b["split"]) == ("clips/sub/b.webm", "evaluation")
    assert (c["file"], c["split"]) == ("evaluation_clips/c.mkv", "evaluation")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"file": "b.txt", "caption": "x"}, "file='b.txt' is not one of .mp4, .m4v, .mov, .3gp, .mkv, .webm, .avi"),
        ({"file": "a.mp4", "caption": "x"}, "file='a.mp4' is listed twice"),
        ({"file": "b.mp4", "caption": " "}, "empty"),
        ({"file": "b.mp4"}, "key 'caption' is missing"),
        ({"file": "b.mp4", "caption": "x", "split": "test"}, "split='test' is not 'train' or 'evaluation'"),
        ('{"file": "gone.mp4", "caption": "x"}', "file='gone.mp4' does not exist"),
        ('{"file": "../prompts.mp4", "caption": "x"}', "file='../prompts.mp4' is not a plain path below source/clips"),
        ("{file: b}", "not JSON (Expecting property name enclosed in double quotes at character 2)"),
    ],
)
def test_bad_captions_are_named(row: dict[str, str] | str, expected: str) -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "first"}, row])
    assert error_of().startswith(f"source/clips/captions.jsonl:2: {expected}")


def test_a_held_out_clip_has_no_split_of_its_own() -> None:
    write_source(evaluation_clips=[{"file": "a.mp4", "caption": "x", "split": "train"}])
    assert "unknown key 'split'" in error_of()


def test_clips_without_captions_are_named() -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "x"}])
    artifacts.write_text(Path("source/clips/b.MOV"), "b")
    assert error_of() == "source/clips/b.MOV: has no caption in captions.jsonl"
    Path("source/clips/captions.jsonl").unlink()
    assert error_of().startswith("source/clips/captions.jsonl: no such file")


def test_the_same_clip_twice_is_named() -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "x"}, {"file": "b.mp4", "caption": "y"}])
    artifacts.write_text(Path("source/clips/b.mp4"), "clips/a.mp4")
    assert error_of() == "clips/b.mp4: the same bytes as clips/a.mp4"


def test_files_that_are_no_clips_are_counted_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    write_source(clips=[{"file": "a.MOV", "caption": "x"}])
    prepare.run(params_of(4))
    assert capsys.readouterr().out.endswith("1 clips -> data/prompts/\n")
    for name in ("a.heic", "sub/notes.txt", ".DS_Store"):
        artifacts.write_text(Path("source/clips") / name, "x")
    prepare.run(params_of(4))
    assert capsys.readouterr().out.endswith("; 2 files are no clips: clips/a.heic, clips/sub/notes.txt\n")
