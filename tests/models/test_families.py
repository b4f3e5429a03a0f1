import json
import shutil
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.models.families import FAMILIES, open_model
from gpd.models.wan.model import Wan


def test_a_folder_is_opened_by_the_class_that_its_index_names(small_wan: Path) -> None:
    model = open_model(small_wan)
    assert isinstance(model, Wan)
    assert model.folder == small_wan


@pytest.mark.parametrize("index", [{"_class_name": "FluxPipeline"}, {}, {"_class_name": ["WanPipeline"]}])
def test_another_class_is_refused(tmp_path: Path, index: dict[str, str]) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError) as caught:
        open_model(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/model_index.json: _class_name={index.get('_class_name')!r} ")
    assert all(name in str(caught.value) for name in FAMILIES)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_an_index_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "model_index.json").write_text(text)
    with pytest.raises(UserError, match=r"model_index\.json: "):
        open_model(tmp_path)


def test_no_weights_are_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weights there"):
        open_model(tmp_path / "nothing")


def test_a_part_without_its_config_is_named(small_wan: Path, tmp_path: Path) -> None:
    shutil.copy(small_wan / "model_index.json", tmp_path)
    with pytest.raises(UserError, match=r"vae/config\.json: no such file"):
        _ = open_model(tmp_path).geometry
