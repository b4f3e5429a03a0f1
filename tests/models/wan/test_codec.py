import json
import shutil
from pathlib import Path

import numpy as np
import torch

from gpd.models import wan
from gpd.models.base import Geometry
from gpd.models.wan.codec import load_geometry
from gpd.tiny.clips import draw, split_scenes


def test_codec_shapes_and_normalisation(small_wan: Path) -> None:
    codec = wan.ClipCodec(small_wan)
    frames = np.stack([draw(split_scenes()[0][0], seed) for seed in (0, 1)])
    latents = codec.encode(frames)
    assert latents.shape == (2, 16, 5, 8, 8)
    raw = codec.vae.encode(torch.from_numpy(frames).movedim(-1, 1).float() / 127.5 - 1).latent_dist.mode()
    assert torch.allclose(latents * codec.std + codec.mean, raw, atol=1e-5)
    decoded = codec.decode(latents)
    assert decoded.shape == frames.shape
    assert decoded.dtype == np.uint8


def test_no_tiles_on_a_cpu(small_wan: Path) -> None:
    assert not wan.ClipCodec(small_wan).vae.use_tiling


def test_the_geometry_is_that_of_the_configs(small_wan: Path, tmp_path: Path) -> None:
    wan21 = Geometry(channels=16, latent_frames=4, latent_px=8, token_px=16)
    assert load_geometry(small_wan) == wan21
    for part in ("vae", "transformer"):
        shutil.copytree(small_wan / part, tmp_path / part)
    (tmp_path / "transformer/config.json").write_text("{}")
    path = tmp_path / "vae/config.json"
    path.write_text("{}")
    assert load_geometry(tmp_path) == wan21  # older pipelines leave the defaults out
    path.write_text(json.dumps({"z_dim": 48, "scale_factor_spatial": 16}))
    assert load_geometry(tmp_path) == Geometry(channels=48, latent_frames=4, latent_px=16, token_px=32)
