import shutil
from pathlib import Path
from typing import Any

import pytest

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data import encode
from gpd.data.clips import write_mp4
from gpd.data.shards import open_latents
from gpd.documents import RunRecord, load_document
from gpd.tiny.clips import draw, split_scenes
from tests.data.encoded import LATENTS, hashes, params_of, work_folder


def test_manifest_and_counts(work_tree: Path, small_wan: Path) -> None:
    manifest = documents.load_manifest(LATENTS, documents.LatentsFacts)
    assert manifest.inputs == {
        "base": documents.identify(small_wan),
        "prompts": documents.identify(Path("data/prompts")),
    }
    facts = manifest.facts
    (broken,) = facts.broken_clips
    assert broken.file == "clips/words.mp4"
    assert broken.reason.startswith("cannot be decoded")
    # 8 prompts, 1 evaluation prompt, the caption of the broken clip
    assert (facts.num_texts, facts.num_clips, facts.num_evaluation_clips, facts.num_rollouts) == (10, 3, 1, 2)
    assert facts.index == {"text": [3, 3, 3, 2], "clips": [2, 1], "evaluation": [1], "rollouts": [2]}
    assert documents.verify(LATENTS) == []
    assert list(Path(".work/encode").iterdir()) == []


def test_a_rerun_gives_the_same_bytes(work_tree: Path, small_wan: Path) -> None:
    before = hashes()
    encode.run(params_of(small_wan))
    assert hashes() == before


def test_processes_share_the_shards_with_the_same_bytes(
    work_tree: Path, small_wan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes()
    shutil.rmtree(LATENTS)
    for part in (2, 0):
        encode.run(params_of(small_wan), f"{part}/3")
        assert "shards are still to come" in capsys.readouterr().out
        assert not LATENTS.exists()
    encode.run(params_of(small_wan), "1/3")
    assert hashes() == before


def test_one_command_starts_as_many_processes_as_it_is_given(
    work_tree: Path, small_wan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes()
    shutil.rmtree(LATENTS)
    monkeypatch.setenv("GPD_PROCESSES", "2")
    encode.run(params_of(small_wan))
    assert hashes() == before


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5", "²"])
def test_a_number_of_processes_that_is_none_is_refused(
    work_tree: Path, small_wan: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("GPD_PROCESSES", asked)
    with pytest.raises(UserError, match=f"GPD_PROCESSES='{asked}' must be a whole number above 0"):
        encode.run(params_of(small_wan))


def test_resumes_at_the_first_missing_shard(work_tree: Path, small_wan: Path) -> None:
    before = hashes()
    shutil.rmtree(LATENTS)
    params = params_of(small_wan)
    gone = Path("source/clips/2.mp4").rename("away.mp4")
    with pytest.raises(UserError, match=r"source/clips/2\.mp4: is gone since .*clips\.jsonl was written"):
        encode.run(params)
    assert not LATENTS.exists()
    finished = hashes(work_folder() / "shards")
    assert list(finished) == ["clips-00000.tar", *(f"text-0000{i}.tar" for i in range(4))]
    stamp = (work_folder() / "shards/text-00000.tar").stat().st_mtime_ns
    gone.rename("source/clips/2.mp4")
    encode.run(params)
    assert hashes() == before
    assert (LATENTS / "text-00000.tar").stat().st_mtime_ns == stamp


def test_lost_and_cut_shards_of_unfinished_work_are_made_again(work_tree: Path, small_wan: Path) -> None:
    before = hashes()
    encode.run(params_of(small_wan), "0/2")
    lost, cut = sorted((work_folder() / "shards").iterdir())[-2:]
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:1000])
    for part in ("1/2", "0/2"):
        encode.run(params_of(small_wan), part)
    assert hashes() == before


def test_partial_files_of_a_killed_process_do_not_stay(work_tree: Path, small_wan: Path) -> None:
    before = hashes()
    encode.run(params_of(small_wan), "0/2")
    (work_folder() / "shards/.text-00001.tar.dead.partial").write_bytes(b"half")
    encode.run(params_of(small_wan), "1/2")
    assert hashes() == before


def test_too_many_broken_clips_fail_and_raising_the_share_goes_on(work_tree: Path, small_wan: Path) -> None:
    before = hashes()
    with pytest.raises(
        UserError, match=r"1 of 5 clips are broken, encode\.max_broken_share=0\.1 .*\n  clips/words\.mp4: "
    ):
        encode.run(params_of(small_wan, max_broken_share=0.1))
    assert hashes() == before
    shutil.rmtree("source")  # nothing is read again
    encode.run(params_of(small_wan, max_broken_share=0.2))
    assert hashes() == before


def test_a_changed_clip_is_named(work_tree: Path, small_wan: Path) -> None:
    before = hashes()
    write_mp4(Path("source/clips/0.mp4"), draw(split_scenes()[0][7], 7), 16)
    with pytest.raises(UserError, match=r"source/clips/0\.mp4: has changed since"):
        encode.run(params_of(small_wan))
    assert hashes() == before


@pytest.mark.parametrize(
    ("key", "value"),
    [("height", 96), ("num_frames", 21), ("negative_prompt", "ugly"), ("shift", 5.0), ("grid_steps", 16)],
)
def test_latents_of_another_model_section_are_refused(work_tree: Path, small_wan: Path, key: str, value: Any) -> None:
    params = params_of(small_wan)
    made = getattr(params.model, key)
    changed = params.model_copy(update={"model": params.model.model_copy(update={key: value})})
    with pytest.raises(UserError) as caught:
        open_latents(LATENTS, changed)
    assert str(caught.value).startswith(
        f"data/latents/manifest.json: made for model.{key}={made!r}, params.yaml says {value!r}"
    )


def test_latents_of_another_base_model_are_refused(work_tree: Path, small_wan: Path) -> None:
    other = Path("other")
    other.mkdir()
    artifacts.write_text(other / "weights", "others")
    documents.write_manifest(
        other, documents.BaseFacts(name="other", repository=None, revision=None), inputs={}, params={}
    )
    with pytest.raises(UserError, match=r"made with the base model [0-9a-f]{12}, model\.path='other' is [0-9a-f]{12}"):
        open_latents(LATENTS, params_of(other))


def test_missing_weights_are_told_plainly(work_tree: Path) -> None:
    with pytest.raises(UserError, match=r"model\.path='nowhere': no weights there"):
        encode.run(params_of(Path("nowhere")))


def test_sizes_are_checked_against_the_model_before_anything_is_done(work_tree: Path, small_wan: Path) -> None:
    params = params_of(small_wan)
    odd = params.model_copy(update={"model": params.model.model_copy(update={"height": 60})})
    with pytest.raises(UserError, match=r"params\.yaml: model: height=60 is not a multiple of 16"):
        encode.run(odd)
    assert list(Path(".work/encode").iterdir()) == []


def test_the_run_record_counts_the_teachers_forwards(work_tree: Path) -> None:
    records = [load_document(RunRecord, path, "") for path in Path(".work/runs").iterdir()]
    (record,) = [record for record in records if record.stage == "encode"]
    assert record.forwards == {"teacher": 2 * 8 * 2}
    assert record.outputs[0].content == documents.load_manifest(LATENTS).content
