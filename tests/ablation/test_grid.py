from pathlib import Path
from typing import Any

import pytest
import yaml

from gpd.ablation.grid import load_grid
from gpd.artifacts import UserError
from tests.ablation.test_plan import GRID


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**GRID, **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": 3}, "budgets: unknown key"),
        ({"seeds": [1]}, r"seeds=\[1\]"),
        ({"variants": {}}, "variants={}"),
    ],
)
def test_a_mistake_in_the_grid_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"grid.yaml: {message}"):
        load_grid(write(tmp_path, **changes))


def test_a_missing_grid_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        load_grid(tmp_path / "none.yaml")
