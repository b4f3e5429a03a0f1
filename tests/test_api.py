"""gpd from Python: the page's example, run as it stands."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import gpd
from gpd.artifacts import UserError
from gpd.params import Params
from gpd.registry import sync

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.fixture
def recorded(workspace: Params) -> Params:
    values = workspace.model_dump(mode="json")
    values["distill"]["stages"]["k1"]["previous"] = workspace.model.path
    Path("params.yaml").write_text(yaml.safe_dump(values))
    sync()
    return workspace


def test_the_example_runs(recorded: Params, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S):
        source = example.replace("steps=6", "steps=2").replace("best:6", "best:2").replace("steps=12", "steps=3")
        exec(source.replace("data/tiny-wan", recorded.model.path), names)
    name, shape = capsys.readouterr().out.strip().splitlines()
    assert name.startswith("k4 ")
    assert shape == "(1, 5, 64, 64, 3)"
    assert Path("clip.mp4").stat().st_size > 500
    assert names["clip"].shape == (5, 64, 64, 3)


def test_clips_follow_from_seed_and_place(recorded: Params) -> None:
    student = gpd.load_student()
    both = gpd.sample(student, ["a red circle", "a red circle"], seed=3)
    assert (both[:1] == gpd.sample(student, ["a red circle"], seed=3)).mean() > 0.99  # a batch may round otherwise
    assert not np.array_equal(both[0], both[1])
    with pytest.raises(UserError, match="empty"):
        gpd.sample(student, [])


def test_importing_gpd_imports_nothing_heavy() -> None:
    code = "import sys, gpd; sys.exit(any(name in sys.modules for name in ('torch', 'sqlmodel', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gpd.nothing  # noqa: B018
