"""Weights that are in no file or no numbers, and a text encoder whose embeddings are zero."""

import json
import os
import pickle
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


PARTS = pytest.mark.parametrize(
    ("part", "name", "load"),
    [
        ("text_encoder", "encoder.block.0.layer.1.DenseReluDense.wo.weight", wan.TextEncoder),
        ("transformer", "blocks.1.attn1.to_v.bias", lambda folder: wan.load_network(folder, merge_padding=True)),
        ("vae", "decoder.conv_in.bias", wan.ClipCodec),
    ],
)


@PARTS
def test_a_weight_that_is_in_no_file_is_named(model: Path, part: str, name: str, load):
    change(model / part, name, None)
    with pytest.raises(UserError, match=rf"{part}: 1 of its weights are in no file \({name}"):
        load(model)


@PARTS
def test_a_weight_that_is_no_number_is_named(model: Path, part: str, name: str, load):
    (file,) = (model / part).glob("*.safetensors")
    weight = load_file(file)[name]
    weight.view(-1)[-1] = float("nan")
    change(model / part, name, weight)
    with pytest.raises(UserError, match=rf"{part}: {name} has numbers from nan to nan; fetch or train it anew"):
        load(model)


class Planted:
    """Pickled, it makes a file when it is read back."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@PARTS
def test_no_code_of_a_models_folder_is_run(model: Path, tmp_path: Path, part: str, name: str, load):
    """A pickle in place of the weights, and a module that the config names."""
    canary = tmp_path / "canary"
    for file in (model / part).glob("*.safetensors"):
        file.unlink()
    for file in ("pytorch_model.bin", "diffusion_pytorch_model.bin"):
        (model / part / file).write_bytes(pickle.dumps(Planted(canary)))
    config = json.loads((model / part / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}
    (model / part / "config.json").write_text(json.dumps(config))
    (model / part / "evil.py").write_text(f"import os\nos.mkdir({str(canary)!r})\n")
    with pytest.raises((UserError, OSError)):
        load(model)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Planted(canary)))  # noqa: S301 - what it would have done
    assert canary.exists()


def test_embeddings_of_zeros_are_refused(model: Path):
    (file,) = (model / "text_encoder").glob("*.safetensors")
    shared = load_file(file)["shared.weight"]
    change(model / "text_encoder", "shared.weight", torch.zeros_like(shared))
    with pytest.raises(UserError, match="the token embedding loaded as all zeros"):
        wan.TextEncoder(model)
