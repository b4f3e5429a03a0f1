"""Clips that every evaluation sets its subject against are decoded once: the reference's, and the real ones."""

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from gpd.artifacts import WORK
from gpd.models.base import Codec

FOLDER = WORK / "decoded"


class KeptDecoder:
    """A codec whose clips are kept in .work/decoded/, named after the latents and the VAE that made them.

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
        path = FOLDER / f"{name}.npy"
        self.used.add(path)
        with contextlib.suppress(FileNotFoundError):  # an evaluation of other samples may prune at the same time
            kept: np.ndarray = np.load(path, allow_pickle=False)
            return kept
        frames = self.codec.decode(torch.from_numpy(latents))
        FOLDER.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{name}.{os.getpid()}.partial.npy")
        try:
            np.save(partial, frames, allow_pickle=False)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return frames

    def prune(self) -> None:
        """Removes kept clips that this decoder was not called for: of an earlier reference, model or batch size."""
        for path in set(FOLDER.glob("[!.]*.npy")) - self.used:
            path.unlink(missing_ok=True)
