import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gpd.stages import CHANGE_NOTHING, value_at
from tests.dvc_deps import ROOT, code_of, stages

SECTIONS = list(stages())
MOST_LINES = 12  # of a stage


@pytest.mark.parametrize("name", SECTIONS)
def test_a_stage_depends_on_the_code_that_it_imports_and_on_no_other(name: str) -> None:
    deps = {str(dep) for dep in stages()[name]["deps"] if str(dep).startswith("gpd/")}
    assert deps == code_of(name)


def test_one_word_names_section_stage_command_and_folder() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, stage in stages().items():
        assert name in params
        assert str(stage["cmd"]).split()[:2] == ["gpd", name]


def test_a_distillation_stage_reads_no_other_stages_params() -> None:
    """Else a change to k3 would rerun k2."""
    distill = stages()["distill"]["params"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())["distill"]
    named = {entry.split(".")[1] for entry in distill if entry.startswith("distill.")}
    assert "distill" not in distill
    assert named == set(params) - {"save_every_seconds"}  # how often to save does not change the result
    assert "distill.stages.${key}" in distill


def test_a_subjects_samples_read_no_other_subjects_params() -> None:
    """Else a new student would sample the reference again."""
    sample = stages()["sample"]["params"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())["sample"]
    assert {entry.split(".")[1] for entry in sample if entry.startswith("sample.")} == set(params)
    assert "sample.subjects.${key}" in sample
    assert not {"sample", "sample.subjects"} & set(sample)


def test_keys_that_change_nothing_are_keys_of_params() -> None:
    """Else a renamed key would count again, in silence."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key in CHANGE_NOTHING:
        above, _, last = key.rpartition(".")
        assert last in value_at(params, above)


def test_dvc_yaml_is_a_page() -> None:
    stages_alone = (ROOT / "dvc.yaml").read_text().partition("\nplots:")[0]
    assert len(stages_alone.splitlines()) <= MOST_LINES * len(SECTIONS)


def test_the_analytics_of_dvc_are_off() -> None:
    config = (ROOT / ".dvc" / "config").read_text()
    assert "analytics = false" in config
    assert "check_update = false" in config


def test_code_of_a_stage_is_only_what_it_needs() -> None:
    """An edit in a metric trains and samples nothing again."""
    assert "gpd/evaluation" not in code_of("distill") | code_of("sample")
    assert "gpd/tiny" not in code_of("sample")
    assert "gpd/distillation" not in code_of("evaluate")
    assert "gpd/models" not in code_of("prepare")
    assert not any("gpd/registry" in code_of(name) for name in SECTIONS)


def test_leftovers_of_killed_processes_make_no_stage_stale() -> None:
    """The report depends on data/students and data/evaluations as they stand."""
    leftovers = [f"data/students/.k1.{os.uname().nodename}.5.partial", "data/evaluations/.k1.old"]
    outputs = ["data/students/k1", "data/evaluations/k1"]
    told = subprocess.run(
        [Path(sys.executable).with_name("dvc"), "check-ignore", *leftovers, *outputs],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == leftovers
