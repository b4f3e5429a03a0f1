"""A flipped bit in any file of a model is found before the model is used."""

import shutil
from pathlib import Path

import pytest

from gpd.artifacts import DamagedError, UserError
from gpd.models.families import open_model
from tests.seals import flip

FILES = (
    "model_index.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/tokenizer.json",
    "manifest.json",
)


def use(folder: Path) -> None:
    model = open_model(folder)
    model.geometry.check(5, 64, 64)
    model.load_text_encoder()
    model.load_codec()
    model.load_network(merge_padding=True)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_before_a_model_is_used(small_wan: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(small_wan, tmp_path / "model"))
    flip(folder / name)
    with pytest.raises(DamagedError, match=rf"{name}: damaged|manifest\.json: ") as found:
        use(folder)
    assert "\n" not in str(found.value)


def test_a_file_that_is_none_of_the_models_is_not_loaded(small_wan: Path, tmp_path: Path) -> None:
    """diffusers would go by an index beside the weights."""
    folder = Path(shutil.copytree(small_wan, tmp_path / "model"))
    (folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match=r"index\.json: not a file of"):
        open_model(folder).load_network(merge_padding=True)


def test_a_student_is_not_made_of_damaged_parts(small_wan: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_wan, tmp_path / "model"))
    network = open_model(folder).load_network(merge_padding=True)
    flip(folder / "text_encoder" / "model.safetensors")
    with pytest.raises(DamagedError, match=r"text_encoder/model\.safetensors: damaged"):
        open_model(folder).save_student(tmp_path / "student", network, grid_steps=48, shift=3.0)
