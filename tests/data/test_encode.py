import json
import os
import shutil
import tarfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.core.sampler import sample
from gpd.core.schedule import make_grid
from gpd.data import encode, prepare
from gpd.data.clips import load_clip, load_whole_clip, write_mp4
from gpd.data.shards import Latents, open_latents
from gpd.data.texts import text_id
from gpd.documents import RunRecord, load_document
from gpd.models import families
from gpd.models.families import open_model
from gpd.params import Params, load_params
from gpd.tiny.clips import draw, split_scenes
from tests.toy_family import ToyCodec, ToyFamily, ToyTexts
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


@pytest.fixture(scope="module")
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


def test_texts_are_the_encoders(work_tree: Path, small_wan: Path) -> None:
    latents = open_latents(LATENTS, params_of(small_wan))
    assert len(latents.texts()) == 10
    assert list(latents.texts("evaluation")) == [text_id("a cat in the snow")]
    assert list(latents.texts("train")) == [text_id(caption) for caption in CAPTIONS]
    model = open_model(small_wan).load_text_encoder()
    for caption in CAPTIONS[:2]:
        np.testing.assert_array_equal(latents.texts()[text_id(caption)], model.encode([caption])[0].numpy())
    np.testing.assert_array_equal(latents.negative(), model.encode(["blurry"])[0].numpy())


def test_clips_are_the_codecs(work_tree: Path, small_wan: Path) -> None:
    latents = open_latents(LATENTS, params_of(small_wan))
    codec = open_model(small_wan).load_codec()
    frames = load_clip(Path("source/clips/1.mp4"), frames_per_second=16, num_frames=17, height=64, width=64)
    array, text = latents.clip(1)
    assert text == text_id(CAPTIONS[1])
    assert array.shape == (16, 5, 8, 8)
    np.testing.assert_allclose(array, codec.encode(frames[None])[0].numpy(), atol=1e-5)
    assert latents.evaluation_clip(0)[1] == text_id("a cat in the snow")


def test_a_long_clip_gives_as_many_windows_as_fit(
    small_wan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GPD_PROGRESS", "lines")
    monkeypatch.chdir(tmp_path)
    add_pipeline(tmp_path)
    artifacts.write_text(Path("source/prompts.txt"), "\n".join(CAPTIONS))
    artifacts.write_text(Path("source/evaluation.txt"), "a cat in the snow\n")
    scene = split_scenes()[0][0]
    long = np.concatenate([draw(scene, index) for index in range(3)])  # 51 frames
    for folder, number in (("clips", 0), ("clips", 1), ("evaluation_clips", 2)):
        write_mp4(Path(f"source/{folder}/{number}.mp4"), long[number : 35 if number == 1 else None], 16)
    write_captions("clips", [{"file": f"{number}.mp4", "caption": CAPTIONS[number]} for number in (0, 1)])
    write_captions("evaluation_clips", [{"file": "2.mp4", "caption": "a cat in the snow"}])
    params = params_of(small_wan, windows_per_clip=4)
    prepare.run(params)
    encode.run(params)
    # 10 texts, 3 clips, 2 roll-outs: windows are no rows of their own
    assert "encode: 15/15" in capsys.readouterr().err
    facts = documents.load_manifest(LATENTS, documents.LatentsFacts).facts
    assert (facts.index["clips"], facts.num_evaluation_clips) == ([5], 1)  # 51 // 17 and 34 // 17; one held out
    latents = open_latents(LATENTS, params)
    assert [latents.clip(row)[1] for row in range(5)] == [text_id(CAPTIONS[0])] * 3 + [text_id(CAPTIONS[1])] * 2
    codec = open_model(small_wan).load_codec()
    for row in range(3):
        frames = load_whole_clip(Path("source/clips/0.mp4")).frames[17 * row : 17 * row + 17]
        np.testing.assert_allclose(latents.clip(row)[0], codec.encode(frames[None])[0].numpy(), atol=1e-4)
    with tarfile.open(LATENTS / "clips-00000.tar") as shard:
        keys = [name.partition(".")[0] for name in shard.getnames() if name.endswith(".npy")]
    rows = map(json.loads, Path("data/prompts/clips.jsonl").read_text().splitlines())
    first, second = (row["id"] for row in rows if row["split"] == "train")
    assert keys == [first, f"{first}-1", f"{first}-2", second, f"{second}-1"]


def test_rollouts_are_the_guided_teachers(work_tree: Path, small_wan: Path) -> None:
    latents = open_latents(LATENTS, params_of(small_wan))
    trajectory, text = latents.rollout(1)
    assert trajectory.shape == (9, 16, 5, 8, 8)
    assert text == text_id(CAPTIONS[1])
    noise = seeded_noise((16, 5, 8, 8), seed=0, index=1)
    np.testing.assert_array_equal(trajectory[0], noise.numpy())
    expected = sample(
        open_model(small_wan).load_network(merge_padding=True),
        noise[None],
        torch.from_numpy(latents.texts()[text])[None],
        make_grid(8, 3.0),
        negative=torch.from_numpy(latents.negative())[None],
        guidance_scale=3.0,
    )
    np.testing.assert_allclose(trajectory, torch.cat(expected).numpy(), atol=1e-4)


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


def test_half_precision_halves_the_latents(work_tree: Path, small_wan: Path) -> None:
    exact = Latents(LATENTS)
    clip, text = np.array(exact.clip(0)[0]), exact.clip(0)[1]
    encode.run(params_of(small_wan, latent_dtype="float16"))
    half = Latents(LATENTS)
    assert half.clip(0)[0].dtype == half.texts()[text].dtype == half.rollout(0)[0].dtype == np.float16
    np.testing.assert_allclose(half.clip(0)[0], clip, rtol=1e-3, atol=1e-3)


def test_a_sampled_posterior_is_reproducible(work_tree: Path, small_wan: Path) -> None:
    mode = hashes()
    params = params_of(small_wan, posterior="sample")
    encode.run(params)
    sampled = hashes()
    assert sampled["clips-00000.tar"] != mode["clips-00000.tar"]
    assert sampled["text-00000.tar"] == mode["text-00000.tar"]
    encode.run(params)
    assert hashes() == sampled


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


def write_toy(family: type[ToyFamily], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(families.FAMILIES, "ToyPipeline", family)
    artifacts.write_text(Path("toy/model_index.json"), '{"_class_name": "ToyPipeline"}')
    facts = documents.BaseFacts(name="toy", repository=None, revision=None)
    documents.write_manifest(Path("toy"), facts, inputs={}, params={})
    return Path("toy")


class ExplodingCodec(ToyCodec):
    """The last clip of each call becomes nonsense."""

    def encode(self, frames: np.ndarray, posterior: str = "mode", generator: Any = None) -> torch.Tensor:
        latents = super().encode(frames, posterior, generator)
        latents[-1] *= 1e20 if len(latents) > 1 else np.nan
        return latents


class ExplodingFamily(ToyFamily):
    def load_codec(self, device: torch.device | str = "cpu") -> ToyCodec:
        return ExplodingCodec()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_latents_that_cannot_be_right_count_as_broken(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    base = write_toy(ExplodingFamily, monkeypatch)
    with pytest.raises(UserError, match=r"4 of 5 clips are broken"):
        encode.run(params_of(base, latent_dtype=dtype))
    params = params_of(base, latent_dtype=dtype, max_broken_share=0.9)
    encode.run(params)
    broken = documents.load_manifest(LATENTS, documents.LatentsFacts).facts.broken_clips
    reasons = {clip.file: clip.reason for clip in broken if "words" not in clip.file}
    assert reasons.keys() == {"clips/1.mp4", "clips/2.mp4", "evaluation_clips/0.mp4"}
    assert reasons["clips/2.mp4"] == "its latent holds NaN"
    latents = open_latents(LATENTS, params)
    assert latents.num_clips == 1
    assert np.isfinite(latents.clip(0)[0]).all()


class NanTexts(ToyTexts):
    def encode(self, prompts: list[str]) -> list[torch.Tensor]:
        return [embedding * np.nan for embedding in super().encode(prompts)]


class NanTextFamily(ToyFamily):
    def load_text_encoder(self, device: torch.device | str = "cpu", dtype: str | None = None) -> ToyTexts:
        return NanTexts()


def test_embeddings_that_are_not_finite_stop_encode(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the base model that is damaged, not a text."""
    before = hashes()
    with pytest.raises(UserError, match=r"^toy: the embedding of negative holds NaN"):
        encode.run(params_of(write_toy(NanTextFamily, monkeypatch)))
    assert hashes() == before


def test_another_family_goes_through_the_same_code(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not Wan needs nothing but its class and a row in the table."""
    params = params_of(write_toy(ToyFamily, monkeypatch))
    encode.run(params)
    latents = open_latents(LATENTS, params)
    assert latents.clip(0)[0].shape == (3, 9, 16, 16)
    assert latents.rollout(0)[0].shape == (9, 3, 9, 16, 16)
    assert latents.negative().shape == (len("blurry"), 1)
    odd = params.model_copy(update={"model": params.model.model_copy(update={"num_frames": 18})})
    with pytest.raises(UserError, match=r"num_frames=18 is not 2k \+ 1; the nearest are 17 and 19"):
        encode.run(odd)


def test_the_run_record_counts_the_teachers_forwards(work_tree: Path) -> None:
    records = [load_document(RunRecord, path, "") for path in Path(".work/runs").iterdir()]
    (record,) = [record for record in records if record.stage == "encode"]
    assert record.forwards == {"teacher": 2 * 8 * 2}
    assert record.outputs[0].content == documents.load_manifest(LATENTS).content
