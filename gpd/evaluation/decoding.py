"""Clips that every evaluation sets its subject against are decoded once: the reference's, and the real ones."""

import contextlib
import hashlib
import itertools
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gpd import documents
from gpd.artifacts import WORK, hash_file, replace_file
from gpd.data.orphans import is_orphan
from gpd.data.workers import companions, num_workers, pick_device
from gpd.models.base import Codec
from gpd.models.families import open_model
from gpd.params import Params
from gpd.sampling.samples import SampleSet

FOLDER = WORK / "decoded"


class KeptDecoder:
    """A codec whose clips are kept in .work/decoded/, named after the latents and the VAE that made them,
    and after their own bytes.

    Decoding is most of what an evaluation costs. Nothing is lost if the folder is removed. What a finished evaluation
    has not used is removed by `prune`, so the folder has one reference and its real clips: gigabytes at Wan's size.

    Args:
        identity: content hash of the base model.
    """

    def __init__(self, codec: Codec, identity: str) -> None:
        self.codec, self.identity = codec, identity
        self.used: set[Path] = set()

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Frames [B, F, H, W, 3] uint8 of normalised latents [B, C, f, h, w]."""
        name = hashlib.sha256(self.identity.encode() + np.ascontiguousarray(latents).tobytes()).hexdigest()
        for path in FOLDER.glob(f"{name}-*.npy"):
            with contextlib.suppress(FileNotFoundError):  # an evaluation of other samples may prune at the same time
                if hash_file(path) == path.stem.removeprefix(f"{name}-"):
                    self.used.add(path)
                    kept: np.ndarray = np.load(path, allow_pickle=False)
                    return kept
        frames = self.codec.decode(torch.from_numpy(latents))
        self.used.add(_keep(name, frames))
        return frames

    def prune(self) -> None:
        """Removes kept clips that this decoder was not called for: of an earlier reference, model or batch size."""
        for path in set(FOLDER.glob("[!.]*.npy")) - self.used:
            path.unlink(missing_ok=True)


def _keep(name: str, frames: np.ndarray) -> Path:
    """Writes frames under their latents' hash and their own; a file that was damaged is decoded again."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    partial = FOLDER / f".{name}.{os.getpid()}.partial.npy"
    try:
        np.save(partial, frames, allow_pickle=False)
        path = FOLDER / f"{name}-{hash_file(partial)}.npy"
        replace_file(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def open_decoder(params: Params, device: str) -> KeptDecoder:
    """The base model's codec on a device, with what was kept."""
    base = Path(params.model.path)
    return KeptDecoder(open_model(base).load_codec(device), documents.identify(base).content)


def decode_beforehand(params: Params, *subjects: SampleSet) -> bool:
    """Decodes the samples of subjects on all GPUs, or in GPD_PROCESSES processes, into what is kept.

    Returns:
        Whether there were several processes; one alone had better decode each batch when it is measured.
    """
    number = num_workers(without_gpu=1)
    if number > 1:
        share = partial(_decode_share, params, sorted({subject.folder for subject in subjects}), number)
        with companions(share, number):
            share(0)
    return number > 1


def _decode_share(params: Params, samples: list[Path], number: int, worker: int) -> None:
    """Every `number`-th batch of some folders of samples, from the `worker`-th on."""
    decoder = open_decoder(params, pick_device(worker))
    batches = itertools.chain.from_iterable(SampleSet(folder).batches(params.evaluate.batch) for folder in samples)
    for _, latents in itertools.islice(batches, worker, None, number):
        if is_orphan():
            return
        decoder.decode(latents[:, -1])
