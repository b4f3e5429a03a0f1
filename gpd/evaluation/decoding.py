"""Clips that every evaluation sets its subject against are decoded once: the reference's, and the real ones."""

import hashlib
import os

import numpy as np
import torch

from gpd.artifacts import WORK
from gpd.models.base import Codec

FOLDER = WORK / "decoded"


class KeptDecoder:
    """A codec whose clips are kept in .work/decoded/, named after the latents and the VAE that made them.

    Decoding is most of what an evaluation costs. Nothing is lost if the folder is removed.

    Args:
        identity: content hash of the base model.
    """

    def __init__(self, codec: Codec, identity: str) -> None:
        self.codec, self.identity = codec, identity

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Frames [B, F, H, W, 3] uint8 of normalised latents [B, C, f, h, w]."""
        name = hashlib.sha256(self.identity.encode() + np.ascontiguousarray(latents).tobytes()).hexdigest()
        path = FOLDER / f"{name}.npy"
        if path.exists():
            kept: np.ndarray = np.load(path, allow_pickle=False)
            return kept
        frames = self.codec.decode(torch.from_numpy(latents))
        FOLDER.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{name}.{os.getpid()}.partial.npy")
        np.save(partial, frames, allow_pickle=False)
        os.replace(partial, path)
        return frames
