import json
import tarfile
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
from gpd.data.encoders import batch_size
from gpd.data.shards import Latents, open_latents
from gpd.data.texts import text_id
from gpd.models import families
from gpd.models.families import open_model
from gpd.tiny.clips import draw, split_scenes
from tests.data.encoded import CAPTIONS, LATENTS, hashes, params_of, write_captions
from tests.toy_family import ToyCodec, ToyFamily, ToyTexts
from tests.workspace import add_pipeline


def test_batches_follow_from_the_clips_size() -> None:
    assert batch_size((16, 5, 8, 8)) == 8
    assert batch_size((16, 21, 60, 104)) == 1
    assert batch_size((16, 21, 90, 160)) == 1


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
