"""Where a student comes from: from its manifest, its base model's, and the first run that made it."""

import json
from pathlib import Path

from gpd import artifacts
from gpd.documents import RunRecord
from gpd.documents.runs import Git, Output
from gpd.params import Params
from gpd.report import report
from gpd.report.outcome import load_outcome
from gpd.report.provenance import describe_base, make_origins


def save_run(name: str, content: str, started: str, **changes: object) -> None:
    record = RunRecord(
        id=name,
        stage="distill@k4",
        command=["gpd"],
        params_hash="p",
        git=Git(commit="c" * 40, is_dirty=True),
        host="somewhere",
        device="cuda",
        flow_run_id=None,
        started=started,
        outputs=[Output(path="data/students/k4", kind="student", content=content)],
        device_seconds=1234.5,
    )
    text = record.model_copy(update=changes).model_dump(mode="json")
    artifacts.write_json(Path(f".work/runs/{name}.json"), text)


def test_the_first_finished_run_is_named_and_no_later_one_changes_the_page(workspace: Params) -> None:
    content = load_outcome(workspace).students["k4"].content
    save_run("a", content, "2026-01-02T03:04:05.000+00:00")
    save_run("b", content, "2026-01-01T00:00:00.000+00:00", exit_code=1)
    Path(".work/runs/broken.json").write_text("{")
    report.run(workspace)
    before = report.PAGE.read_bytes()
    save_run("0", content, "2026-02-02T03:04:05.000+00:00")
    report.run(workspace)
    assert report.PAGE.read_bytes() == before
    (facts,) = [dict(one.facts) for one in make_origins(workspace, load_outcome(workspace)) if one.student == "k4"]
    assert (facts["content"], facts["made"]) == (content, "2026-01-02 03:04 UTC")
    assert facts["device"] == "cuda, 1,234 device-seconds"
    assert facts["commit"] == f"{'c' * 40} with changes that are not committed"
    assert "somewhere" not in before.decode()


def test_params_and_inputs_are_those_of_the_manifest(workspace: Params) -> None:
    manifest = json.loads(Path("data/students/k4/manifest.json").read_text())
    (origin,) = [one for one in make_origins(workspace, load_outcome(workspace)) if one.student == "k4"]
    assert origin.params == manifest["params"]
    assert all(found["content"][:12] in dict(origin.facts)[role] for role, found in manifest["inputs"].items())


def test_a_base_model_that_is_not_here_is_left_out(workspace: Params) -> None:
    licence = dict(describe_base(Path(workspace.model.path)))["licence of the base model"]
    assert licence.startswith("apache-2.0, https://")
    assert describe_base(Path("nowhere")) == []
