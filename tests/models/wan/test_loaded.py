"""Weights that are in no file, and a text encoder whose embeddings are zero."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gpd.artifacts import MANIFEST, UserError
from gpd.models import wan


def change(folder: Path, name: str, value: torch.Tensor | None) -> None:
    """Replaces or removes one weight in the part's only file, before the model is fixed by a manifest."""
    (folder.parent / MANIFEST).unlink()
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    del weights[name]
    if value is not None:
        weights[name] = value
    save_file(weights, file, metadata={"format": "pt"})


@pytest.fixture
def model(small_wan: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_wan, tmp_path / "model"))


@pytest.mark.parametrize(
    ("part", "name", "load"),
    [
        ("text_encoder", "encoder.block.0.layer.1.DenseReluDense.wo.weight", wan.TextEncoder),
        ("transformer", "blocks.1.attn1.to_v.bias", lambda folder: wan.load_network(folder, merge_padding=True)),
        ("vae", "decoder.conv_in.bias", wan.ClipCodec),
    ],
)
def test_a_weight_that_is_in_no_file_is_named(model: Path, part: str, name: str, load):
    change(model / part, name, None)
    with pytest.raises(UserError, match=rf"{part}: 1 of its weights are in no file \({name}"):
        load(model)


def test_embeddings_of_zeros_are_refused(model: Path):
    (file,) = (model / "text_encoder").glob("*.safetensors")
    shared = load_file(file)["shared.weight"]
    change(model / "text_encoder", "shared.weight", torch.zeros_like(shared))
    with pytest.raises(UserError, match="the token embedding loaded as all zeros"):
        wan.TextEncoder(model)
