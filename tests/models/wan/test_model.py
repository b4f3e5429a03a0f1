import json
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.models.families import open_model
from gpd.models.wan.model import Wan


@pytest.mark.parametrize(("key", "value"), [("boundary_ratio", 0.875), ("expand_timesteps", True)])
def test_wan22_is_refused(small_wan: Path, tmp_path: Path, key: str, value: float | bool) -> None:
    index = json.loads((small_wan / "model_index.json").read_text()) | {key: value}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=rf"model_index\.json: {key}={value}: .* as in Wan2\.2"):
        open_model(tmp_path)


def test_a_complete_pipeline_has_all_parts(small_wan: Path) -> None:
    assert all((small_wan / part).is_dir() for part in Wan.parts)
