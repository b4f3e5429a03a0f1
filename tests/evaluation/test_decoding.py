from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gpd.evaluation.decoding import FOLDER, KeptDecoder
from tests.seals import flip


class CountingCodec:
    """Decodes to the latents' rounded values and counts how often."""

    def __init__(self) -> None:
        self.num_calls = 0

    def encode(self, frames: np.ndarray, posterior: str = "mode", generator: object = None) -> Tensor:
        return torch.from_numpy(frames).float()

    def decode(self, latents: Tensor) -> np.ndarray:
        self.num_calls += 1
        return latents.round().to(torch.uint8).numpy()


def test_equal_latents_of_one_model_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what is kept lies below the work tree
    codec = CountingCodec()
    latents = np.arange(12, dtype=np.float32).reshape(2, 1, 1, 2, 3)
    first = KeptDecoder(codec, "one").decode(latents)
    again = KeptDecoder(codec, "one").decode(latents.copy())
    assert np.array_equal(first, again)
    assert codec.num_calls == 1
    KeptDecoder(codec, "another").decode(latents)
    KeptDecoder(codec, "one").decode(latents + 1)
    assert codec.num_calls == 3
    assert len(list(FOLDER.iterdir())) == 3


def test_what_an_evaluation_has_not_used_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codec = CountingCodec()
    old, new = (np.full((1, 1, 1, 2, 3), value, np.float32) for value in (1, 2))
    KeptDecoder(codec, "one").decode(old)
    KeptDecoder(codec, "one").decode(new)
    (FOLDER / ".half.7.partial.npy").write_bytes(b"of a process that is still writing")
    later = KeptDecoder(codec, "one")
    later.decode(new)
    later.prune()
    assert len(list(FOLDER.iterdir())) == 2
    later.decode(new)
    assert codec.num_calls == 2
    later.decode(old)
    assert codec.num_calls == 3


def test_kept_frames_that_rot_are_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codec, latents = CountingCodec(), np.full((1, 1, 1, 2, 3), 7, np.float32)
    frames = KeptDecoder(codec, "one").decode(latents)
    (kept,) = FOLDER.iterdir()
    flip(kept, 0.99)
    assert np.array_equal(KeptDecoder(codec, "one").decode(latents), frames)
    assert codec.num_calls == 2
    assert np.array_equal(KeptDecoder(codec, "one").decode(latents), frames)
    assert codec.num_calls == 2
