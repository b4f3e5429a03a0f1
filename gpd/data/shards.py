"""Shards: tar files in webdataset's layout, written reproducibly and read at random through memory maps.

An entry (a sample in webdataset's words) is a few files `<key>.<name>` side by side in a tar. Arrays are npy without
pickle, words are JSON.
The only room that uses webdataset.
"""

import io
import json
import tarfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data.numbers import LARGEST
from gpd.documents import LatentsFacts
from gpd.documents.reading import parse_json
from gpd.params import Params
from gpd.stages import settings_of

Entry = tuple[str, Mapping[str, Any]]  # key, {"embedding.npy": array, "text.json": JSON value}

KINDS = ("text", "clips", "evaluation", "rollouts")
NEGATIVE = "negative"  # key of the negative prompt's embedding


def shard_name(kind: str, index: int) -> str:
    """File name of a kind's shard: text-00000.tar."""
    return f"{kind}-{index:05d}.tar"


def write_shard(path: Path, samples: Iterable[Entry]) -> int:
    """Writes one shard; equal samples give equal bytes. It appears under its name only when it is complete.

    Keys have no dot, for webdataset ends the key at the first. Returns the number of samples.

    Raises:
        OSError: the disk is full; it names the shard.
    """
    import webdataset

    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    num_samples = 0
    try:
        # encoder=False: bytes only, so that webdataset can pickle nothing
        with open(partial, "wb") as file, webdataset.TarWriter(file, mtime=0, encoder=False) as writer:
            for key, files in samples:
                assert "." not in key, key
                writer.write({"__key__": key, **{name: _to_bytes(name, value) for name, value in files.items()}})
                num_samples += 1
        artifacts.replace_file(partial, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from None
    finally:
        partial.unlink(missing_ok=True)
    return num_samples


def _to_bytes(name: str, value: Any) -> bytes:
    if name.endswith(".json"):
        return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(value), version=(1, 0), allow_pickle=False)
    return stream.getvalue()


class Shard:
    """One tar file under a memory map: `shard[key, name]` is an array or a JSON value.

    Arrays are views of the map, copied on write: the file never changes. It stays mapped without being open, for a
    process may have 1,024 files open, and 50,000 prompts with as many clips lie in 1,563 shards.

    Raises:
        UserError: on opening, if the file is missing or cut short; when something of it is looked up for the first
            time, if its bytes are not those that were written.
    """

    def __init__(self, path: Path, *, size_bytes: int, num_samples: int, sha256: str) -> None:
        found = path.stat().st_size if path.exists() else None
        if found != size_bytes:
            state = "no such file" if found is None else f"{found} bytes long, the manifest says {size_bytes}"
            raise UserError(f"{path}: {state}; run `gpd encode` again")
        self.path, self.sha256 = path, sha256
        self.places = _find_files(path)
        self.keys = list(dict.fromkeys(name.partition(".")[0] for name in self.places))
        # tarfile ends in silence at a damaged header; all samples have equally many files
        if len(self.keys) != num_samples or len(self.places) % max(1, num_samples):
            raise UserError(f"{path}: damaged, {num_samples} samples cannot be read; run `gpd encode` again")
        self.bytes = _map(path, size_bytes)
        self.is_checked = False  # a stage of a part of the shards reads no more than them

    def __getitem__(self, sample_file: tuple[str, str]) -> Any:
        if not self.is_checked:
            artifacts.check_file(self.path, self.sha256)
            self.is_checked = True
        key, name = sample_file
        try:
            offset, size = self.places[f"{key}.{name}"]
            if name.endswith(".json"):
                return parse_json(self.bytes[offset : offset + size].tobytes().decode())
            return _view_array(self.bytes[offset : offset + size])
        except (LookupError, ValueError, TypeError) as error:
            said = f"{type(error).__name__}: {error!s:.100}"
            raise UserError(
                f"{self.path}: sample {key!r:.80} has no usable {name} ({said}); run `gpd encode` again"
            ) from None

    def sound(self, key: str, name: str) -> np.ndarray:
        """An array of latents or embeddings, none of which is absurd; it is one pass over what is about to be used.

        Raises:
            UserError: a number is not finite, or larger than any encoder makes.
        """
        array: np.ndarray = self[key, name]
        low, high = (end.item() for end in torch.aminmax(torch.from_numpy(array)))  # NaN if one of them is
        if low >= -LARGEST[name] and high <= LARGEST[name]:
            return array
        what = f"{name.partition('.')[0]} from {low:g} to {high:g}"
        raise UserError(f"{self.path}: sample {key} has {what}; run `gpd encode` again")


def _find_files(path: Path) -> dict[str, tuple[int, int]]:
    """Offset and size in bytes of each file in a tar."""
    try:
        with tarfile.open(path, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar}
    except tarfile.TarError as error:
        raise UserError(f"{path}: not a readable shard ({error}); run `gpd encode` again") from None


def _map(path: Path, size_bytes: int) -> np.ndarray:
    """The file's bytes, copied on write. numpy's maps keep their file open, torch's do not."""
    mapped: np.ndarray = torch.from_file(str(path), shared=False, size=size_bytes, dtype=torch.uint8).numpy()
    return mapped


def _view_array(npy: np.ndarray) -> np.ndarray:
    """The array in npy bytes, without copying them."""
    header = io.BytesIO(npy[:256].tobytes())  # version 1 pads its header to 64; ours are under 192
    if np.lib.format.read_magic(header) != (1, 0):
        raise ValueError("not version 1 of npy")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(header)
    if is_fortran or dtype.hasobject:
        raise ValueError("not an array of numbers by rows")
    return npy[header.tell() :].view(dtype).reshape(shape)


class Embeddings(Mapping[str, np.ndarray]):
    """Texts' embeddings [L, D] by id, as views of their shards: 50,000 of Wan's are 200 GB at 512 tokens in float16."""

    def __init__(self, shards: dict[str, Shard]) -> None:
        self.shards = shards

    def __getitem__(self, text_id: str) -> np.ndarray:
        return self.shards[text_id].sound(text_id, "embedding.npy")

    def __iter__(self) -> Iterator[str]:
        return iter(self.shards)

    def __len__(self) -> int:
        return len(self.shards)


class Latents:
    """What `encode` wrote. Arrays come as stored: float32 or float16, views of memory maps."""

    def __init__(self, folder: Path) -> None:
        manifest = documents.load_manifest(folder, LatentsFacts)
        self._places: dict[str, list[tuple[Shard, str]]] = {kind: [] for kind in KINDS}
        for kind, counts in manifest.facts.index.items():
            for index, num_samples in enumerate(counts):
                name = shard_name(kind, index)
                if name not in manifest.files:
                    raise UserError(f"{folder / name}: not in the manifest; run `gpd encode` again")
                file = manifest.files[name]
                shard = Shard(folder / name, size_bytes=file.size, num_samples=num_samples, sha256=file.sha256)
                self._places[kind] += [(shard, key) for key in shard.keys]

    def texts(self, split: str | None = None) -> Mapping[str, np.ndarray]:
        """Embeddings [L, D] by text id, the negative prompt's not among them, each read when it is looked up.

        Args:
            split: only the prompts of "train" or "evaluation"; captions of clips belong to neither.
        """
        return Embeddings(
            {
                key: shard
                for shard, key in self._places["text"]
                if key != NEGATIVE and (split is None or shard[key, "text.json"]["split"] == split)
            }
        )

    def negative(self) -> np.ndarray:
        """The negative prompt's embedding [L, D]."""
        shard, key = next(place for place in self._places["text"] if place[1] == NEGATIVE)
        return shard.sound(key, "embedding.npy")

    @property
    def num_clips(self) -> int:
        """Training clips."""
        return len(self._places["clips"])

    def clip(self, index: int) -> tuple[np.ndarray, str]:
        """Normalised latents [C, F, H, W] of a training clip and the id of its caption's text."""
        return self._read("clips", index, "latents.npy")

    @property
    def num_evaluation_clips(self) -> int:
        """Held-out clips."""
        return len(self._places["evaluation"])

    def evaluation_clip(self, index: int) -> tuple[np.ndarray, str]:
        """Normalised latents [C, F, H, W] of a held-out clip and the id of its caption's text."""
        return self._read("evaluation", index, "latents.npy")

    @property
    def num_rollouts(self) -> int:
        """Trajectories of the guided teacher."""
        return len(self._places["rollouts"])

    def rollout(self, index: int) -> tuple[np.ndarray, str]:
        """A trajectory [N + 1, C, F, H, W] from noise to clean on the base grid and the id of its text."""
        return self._read("rollouts", index, "trajectory.npy")

    def _read(self, kind: str, index: int, name: str) -> tuple[np.ndarray, str]:
        shard, key = self._places[kind][index]
        return shard.sound(key, name), shard[key, "text.json"]["id"]


def open_latents(folder: Path, params: Params) -> Latents:
    """Opens the folder that `encode` wrote.

    Raises:
        UserError: it was made for another base model or other settings, or a shard is missing or cut short.
    """
    manifest = documents.load_manifest(folder, LatentsFacts)
    path = folder / artifacts.MANIFEST
    for key, value in settings_of("encode", params.model_dump()).items():
        if (made := manifest.params.get(key)) != value:
            raise UserError(f"{path}: made for {key}={made!r}, params.yaml says {value!r}; run `gpd encode` again")
    own, base = manifest.inputs["base"].content, documents.identify(Path(params.model.path)).content
    if own != base:
        raise UserError(
            f"{path}: made with the base model {own[:12]}, model.path={params.model.path!r} is {base[:12]}; "
            "run `gpd encode` again"
        )
    return Latents(folder)
