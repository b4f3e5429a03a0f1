"""What `dvc plots` draws: a curve for every stage and subject, whatever params name."""

import csv
from pathlib import Path

import yaml

from gpd.params import Params
from gpd.report import report
from gpd.report.outcome import load_outcome
from tests.workspace import ROOT


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_stage_and_subject_has_its_curve(workspace: Params) -> None:
    report.run(workspace)
    outcome, folder = load_outcome(workspace), report.OUTPUT
    training, trajectories = rows(folder / "training.csv"), rows(folder / "trajectories.csv")
    assert {row["curve"] for row in training} == {"k1", "k4"}
    assert [row["loss"] for row in training if row["curve"] == "k4"] == ["0.5", "0.25"]
    assert {row["curve"] for row in trajectories} == set(outcome.contenders)


def test_the_plots_of_dvc_yaml_are_of_the_reports_columns(workspace: Params) -> None:
    report.run(workspace)
    for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]:
        ((_, drawn),) = plot.items()
        ((file, column),) = drawn["y"].items()
        assert {"curve", drawn["x"], column} <= set(rows(Path(file))[0])
        assert (ROOT / f".dvc/plots/{drawn['template']}.json").is_file()
