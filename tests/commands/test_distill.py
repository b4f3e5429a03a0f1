import csv
from pathlib import Path

from gpd import artifacts
from gpd.commands import distill
from gpd.params import Params


def stalling(params: Params) -> Params:
    """A stage whose rate is too small to learn anything, on a small pool."""
    stage = params.distill.stages["k1"].model_copy(
        update={"previous": params.model.path, "iterations": 40, "batch": 2, "learning_rate": 1e-12}
    )
    small = {"pool_slots": 4, "probe": params.distill.probe.model_copy(update={"num_states": 2})}
    states = params.distill.states.model_copy(update={"stream": 1.0, "clips": 0.0})
    changes = {**small, "states": states, "stall_window": 2, "stages": {**params.distill.stages, "k1": stage}}
    return params.model_copy(update={"distill": params.distill.model_copy(update=changes)})


def test_the_manifest_holds_the_iterations_really_done(workspace: Params) -> None:
    distill.run(stalling(workspace), "k1")
    facts = artifacts.load_manifest(Path("data/students/k1"))["facts"]
    assert 4 <= facts["iterations"] < 40
    assert facts["samples_seen"] == 2 * facts["iterations"]
    rows = csv.DictReader(Path("data/students/k1/training.csv").read_text().splitlines())
    assert [int(row["iteration"]) for row in rows][-1] == facts["iterations"]
