"""Where a student comes from: from its manifest and its base model's."""

import json
import shutil
from pathlib import Path

from gpd.artifacts import WORK
from gpd.params import Params
from gpd.report import report
from gpd.report.outcome import load_outcome
from gpd.report.provenance import describe_base, make_origins


def test_runs_do_not_change_the_page(workspace: Params) -> None:
    report.run(workspace)
    before = report.PAGE.read_bytes()
    shutil.rmtree(WORK / "runs")
    report.run(workspace)
    assert report.PAGE.read_bytes() == before


def test_params_and_inputs_are_those_of_the_manifest(workspace: Params) -> None:
    manifest = json.loads(Path("data/students/k4/manifest.json").read_text())
    (origin,) = [one for one in make_origins(workspace, load_outcome(workspace)) if one.student == "k4"]
    assert origin.params == manifest["params"]
    assert all(found["content"][:12] in dict(origin.facts)[role] for role, found in manifest["inputs"].items())


def test_a_base_model_that_is_not_here_is_left_out(workspace: Params) -> None:
    licence = dict(describe_base(Path(workspace.model.path)))["licence of the base model"]
    assert licence.startswith("apache-2.0, https://")
    assert describe_base(Path("nowhere")) == []
