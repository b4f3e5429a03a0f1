import errno
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import webdataset

from gpd import artifacts, documents
from gpd.artifacts import DamagedError, UserError
from gpd.data.numbers import MAX_LATENT
from gpd.data.shards import Entry, Latents, Shard, shard_name, write_shard
from tests.seals import flip


def some_samples(num: int = 4, seed: int = 0) -> list[Entry]:
    rng = np.random.default_rng(seed)
    return [
        (
            f"c-{i:03d}",
            {"latents.npy": rng.standard_normal((2, i + 1, 3)).astype(np.float32), "text.json": {"id": f"p-{i}"}},
        )
        for i in range(num)
    ]


def opened(path: Path, num_samples: int) -> Shard:
    return Shard(path, size_bytes=path.stat().st_size, num_samples=num_samples, sha256=artifacts.hash_file(path))


def test_what_is_written_reads_back_in_any_order(tmp_path: Path) -> None:
    samples = some_samples()
    assert write_shard(tmp_path / "clips-00000.tar", samples) == 4
    shard = opened(tmp_path / "clips-00000.tar", 4)
    assert shard.keys == [key for key, _ in samples]
    for key, files in reversed(samples):
        np.testing.assert_array_equal(shard[key, "latents.npy"], files["latents.npy"])
        assert shard[key, "text.json"] == files["text.json"]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_arrays_keep_type_and_shape(tmp_path: Path, dtype: str) -> None:
    array = np.arange(30).reshape(1, 5, 6).astype(dtype)
    write_shard(tmp_path / "a.tar", [("x", {"latents.npy": array[:, :, ::2]})])
    read = opened(tmp_path / "a.tar", 1)["x", "latents.npy"]
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, array[:, :, ::2])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1_001.0])
def test_numbers_that_no_encoder_makes_are_refused_with_shard_and_key(tmp_path: Path, dtype: str, value: float) -> None:
    array = np.zeros((2, 3), dtype=dtype)
    array[1, 2] = value
    largest = np.full((2, 3), -MAX_LATENT, dtype=dtype)
    write_shard(tmp_path / "a.tar", [("x", {"latents.npy": array}), ("y", {"latents.npy": largest})])
    shard = opened(tmp_path / "a.tar", 2)
    with pytest.raises(UserError, match=r"^\S+/a\.tar: sample x has latents from \S+ to \S+; run `gpd encode` again$"):
        shard.sound("x", "latents.npy")
    np.testing.assert_array_equal(shard.sound("y", "latents.npy"), largest)


def test_equal_samples_give_equal_bytes(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", some_samples())
    write_shard(tmp_path / "b.tar", iter(some_samples()))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_webdataset_reads_the_same(tmp_path: Path) -> None:
    samples = some_samples()
    write_shard(tmp_path / "a.tar", samples)
    read = list(webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False))
    assert [sample["__key__"] for sample in read] == [key for key, _ in samples]
    assert json.loads(read[2]["text.json"]) == {"id": "p-2"}


def test_changing_an_array_does_not_change_the_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", some_samples())
    before = artifacts.hash_file(tmp_path / "a.tar")
    array = opened(tmp_path / "a.tar", 4)["c-001", "latents.npy"]
    array += 1.0
    assert artifacts.hash_file(tmp_path / "a.tar") == before


def test_open_shards_keep_no_file_open(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", some_samples())
    before = len(list(Path("/proc/self/fd").iterdir()))
    shards = [opened(tmp_path / "a.tar", 4) for _ in range(20)]
    assert all(shard["c-001", "latents.npy"].any() for shard in shards)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_shard_may_be_empty(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "a.tar", []) == 0
    assert opened(tmp_path / "a.tar", 0).keys == []


def test_a_failed_write_leaves_the_old_shard_and_no_other_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", some_samples())
    before = artifacts.hash_file(tmp_path / "a.tar")

    def failing() -> Iterator[Entry]:
        yield from some_samples(2, seed=1)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*a\.tar"):
        write_shard(tmp_path / "a.tar", failing())
    assert artifacts.hash_file(tmp_path / "a.tar") == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_objects_are_not_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        write_shard(tmp_path / "a.tar", [("x", {"latents.npy": np.array([{}], dtype=object)})])


@pytest.mark.parametrize("array", ["'|O'", "'<U9'", "('a',)"])
def test_a_sample_that_nobody_here_wrote_is_named(tmp_path: Path, array: str) -> None:
    header = f"{{'descr': {array}, 'fortran_order': False, 'shape': (2,), }}".encode().ljust(117) + b"\n"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(6)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("c-1.latents.npy")
        member.size = len(npy)
        tar.addfile(member, io.BytesIO(npy))
    shard = opened(tmp_path / "a.tar", 1)
    for name in ("latents.npy", "text.json"):
        with pytest.raises(UserError, match=rf"a\.tar: sample 'c-1' has no usable {name}"):
            shard["c-1", name]


def latents_folder(folder: Path) -> Path:
    """A folder as `encode` writes it, filled by hand."""
    folder.mkdir()
    texts: list[Entry] = [
        ("negative", {"embedding.npy": np.zeros((1, 3)), "text.json": {"text": "", "split": "negative"}})
    ]
    for name, split in [("p-a", "train"), ("p-b", "evaluation"), ("p-c", "caption")]:
        texts.append((name, {"embedding.npy": np.ones((2, 3)), "text.json": {"text": name, "split": split}}))
    write_shard(folder / shard_name("text", 0), texts[:2])
    write_shard(folder / shard_name("text", 1), texts[2:])
    write_shard(folder / shard_name("clips", 0), some_samples(3))
    write_shard(folder / shard_name("clips", 1), some_samples(1, seed=5))
    index = {"text": [2, 2], "clips": [3, 1], "evaluation": [], "rollouts": []}
    facts = documents.LatentsFacts(
        num_texts=3, num_clips=4, num_evaluation_clips=0, num_rollouts=0, broken_clips=[], index=index
    )
    documents.write_manifest(folder, facts, inputs={}, params={})
    return folder


def test_latents_count_on_over_shards(tmp_path: Path) -> None:
    latents = Latents(latents_folder(tmp_path / "latents"))
    assert (latents.num_clips, latents.num_evaluation_clips, latents.num_rollouts) == (4, 0, 0)
    assert latents.clip(2)[1] == "p-2"
    np.testing.assert_array_equal(latents.clip(3)[0], some_samples(1, seed=5)[0][1]["latents.npy"])
    with pytest.raises(IndexError):
        latents.clip(4)


def test_texts_by_split(tmp_path: Path) -> None:
    latents = Latents(latents_folder(tmp_path / "latents"))
    assert list(latents.texts()) == ["p-a", "p-b", "p-c"]
    assert list(latents.texts("train")) == ["p-a"]
    assert list(latents.texts("evaluation")) == ["p-b"]
    assert latents.negative().shape == (1, 3)


def test_a_shard_cut_short_is_named(tmp_path: Path) -> None:
    folder = latents_folder(tmp_path / "latents")
    path = folder / "clips-00000.tar"
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(UserError, match=r"clips-00000\.tar: 9728 bytes long, the manifest says 10240"):
        Latents(folder)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = latents_folder(tmp_path / "latents")
    (folder / "text-00001.tar").unlink()
    with pytest.raises(UserError, match=r"text-00001\.tar: no such file"):
        Latents(folder)


@pytest.mark.parametrize("place", [0, 1024, 5120], ids=["first header", "second header", "last header"])
def test_a_damaged_shard_of_the_right_size_is_named(tmp_path: Path, place: int) -> None:
    folder = latents_folder(tmp_path / "latents")
    data = bytearray((folder / "clips-00000.tar").read_bytes())
    data[place : place + 512] = b"\xff" * 512
    (folder / "clips-00000.tar").write_bytes(data)
    with pytest.raises(UserError, match=r"clips-00000\.tar: "):
        Latents(folder)


def test_every_flipped_bit_is_found_before_anything_is_read(tmp_path: Path) -> None:
    folder = latents_folder(tmp_path / "latents")
    path = folder / "clips-00000.tar"
    content = path.read_bytes()
    for place in range(0, len(content), 97):  # headers, arrays, JSON, padding
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
        with pytest.raises(UserError, match=r"clips-00000\.tar: "):
            Latents(folder).clip(2)


def test_a_damaged_shard_is_named_with_both_digests_and_the_others_are_read(tmp_path: Path) -> None:
    folder = latents_folder(tmp_path / "latents")
    before = artifacts.hash_file(folder / "text-00001.tar")
    flip(folder / "text-00001.tar")
    now = artifacts.hash_file(folder / "text-00001.tar")
    latents = Latents(folder)
    assert latents.negative().shape == (1, 3)
    message = rf"text-00001\.tar: damaged: its SHA-256 is {now}, expected {before}; `gpd verify --repair`"
    with pytest.raises(DamagedError, match=message):
        latents.texts()["p-c"]
