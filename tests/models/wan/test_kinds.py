import json
from pathlib import Path
from typing import Any

import pytest

from gpd.artifacts import UserError
from gpd.models.families import open_model
from gpd.models.wan.architectures import ARCHITECTURES
from gpd.models.wan.kinds import check_published

TRANSFORMER = "transformer/config.json"


def make_folder(folder: Path, transformer: dict[str, Any], **index: Any) -> Path:
    """The configs of a pipeline, without weights."""
    (folder / "transformer").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "WanPipeline", **index}))
    (folder / TRANSFORMER).write_text(json.dumps(transformer))
    return folder


SMALL, LARGE = (architecture.transformer for architecture in ARCHITECTURES.values())


@pytest.mark.parametrize(
    ("transformer", "index", "message"),
    [
        (LARGE, {"boundary_ratio": 0.875}, "model_index.json: boundary_ratio=0.875"),
        ({**SMALL, "in_channels": 48}, {"expand_timesteps": True}, "expand_timesteps=True"),
        ({**SMALL, "in_channels": 48}, {}, "in_channels=48: .*Wan2.2"),
        ({**LARGE, "in_channels": 36}, {}, "in_channels=36: it begins from an image"),
        ({**LARGE, "in_channels": 36, "image_dim": 1280}, {}, "image_dim=1280: it begins from an image"),
    ],
)
def test_other_kinds_of_wan_are_refused(
    tmp_path: Path, transformer: dict[str, Any], index: dict[str, Any], message: str
):
    with pytest.raises(UserError, match=message):
        open_model(make_folder(tmp_path / "model", transformer, **index))


def test_the_published_sizes_pass(tmp_path: Path):
    for name, architecture in ARCHITECTURES.items():
        folder = make_folder(tmp_path / name, architecture.transformer, boundary_ratio=None, expand_timesteps=False)
        open_model(folder)
        check_published(folder, architecture.repository)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_layers": 6}, "num_layers=6, but Wan2.1-T2V-1.3B has 30"),
        ({"num_attention_heads": 40}, "num_attention_heads=40, but Wan2.1-T2V-1.3B has 12"),
    ],
)
def test_a_transformer_of_another_size_than_the_profile_names(tmp_path: Path, change: dict[str, int], message: str):
    folder = make_folder(tmp_path / "model", {**SMALL, **change})
    with pytest.raises(UserError, match=message):
        check_published(folder, "Wan-AI/Wan2.1-T2V-1.3B-Diffusers")


def test_of_a_repository_that_is_not_known_any_size_passes(tmp_path: Path):
    check_published(make_folder(tmp_path / "model", {**SMALL, "num_layers": 6}), "somebody/wan")
