import json
import re
from pathlib import Path

import pytest

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.commands import report
from gpd.commands.outcome import load_outcome
from gpd.params import Params
from tests.page.test_html import Reader

PAGE = Path("data/report/report.html")


def edit(name: str, old: str, new: str) -> None:
    path = Path(f"data/evaluations/{name}/evaluation.json")
    artifacts.write_text(path, path.read_text().replace(old, new))


def test_page_is_whole_and_self_contained(workspace: Params) -> None:
    report.run(workspace)
    page = Reader(PAGE.read_text())
    tags = [tag for tag, _ in page.tags]
    assert tags.count("video") == 2 * 3  # two prompts: reference, rival, lead
    assert tags.count("figure") == 5  # no Fréchet chart: six samples are too few
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert artifacts.verify(PAGE.parent) == []


def test_lead_rival_and_reference(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    assert (outcome.lead, outcome.rival, outcome.reference) == ("k4", "teacher-2", "teacher-8")
    assert list(outcome.subjects) == ["k4", "k1", "teacher-8", "teacher-2", "teacher-4-unipc"]


def test_terminal_shows_the_table_and_ends_with_the_path(workspace: Params, capsys: pytest.CaptureFixture[str]) -> None:
    report.run(workspace)
    lines = capsys.readouterr().out.strip().split("\n")
    assert lines[-1] == f"report: {PAGE.resolve()}"
    assert [line.split()[:2] for line in lines if line.strip().startswith("k")] == [["k4", "2"], ["k1", "8"]]


def test_best_is_marked_by_direction_and_never_where_all_are_alike(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    error, psnr = (
        {name: outcome.value(name, metric) for name in ("k1", "k4")} for metric in ("trajectory_error", "psnr")
    )
    assert outcome.best("trajectory_error", ["k1", "k4"]) == {min(error, key=lambda name: error[name] or 0)}
    assert outcome.best("psnr", ["k1", "k4"]) == {max(psnr, key=lambda name: psnr[name] or 0)}
    assert outcome.best("psnr", ["k1"]) == set()
    assert outcome.best("psnr", ["teacher-8"]) == set()


def test_rerun_writes_the_same_bytes(workspace: Params) -> None:
    report.run(workspace)
    before = PAGE.read_bytes()
    report.run(workspace)
    assert PAGE.read_bytes() == before


def test_a_missing_metric_is_a_dash(workspace: Params) -> None:
    evaluation = json.loads(Path("data/evaluations/k4/evaluation.json").read_text())
    del evaluation["subjects"]["k4"]["metrics"]["psnr"]
    artifacts.write_json(Path("data/evaluations/k4/evaluation.json"), evaluation)
    report.run(workspace)
    row = re.search(r'<tr><th scope="row"><span title="[^"]*">PSNR.*?</tr>', PAGE.read_text())
    assert row is not None
    assert "<td><small>–</small></td>" in row[0]


def test_prompts_are_escaped(workspace: Params) -> None:
    folder = Path("data/evaluations/teacher/samples")
    manifest = artifacts.load_manifest(folder)
    for clip in manifest["facts"]["clips"]:
        clip["prompt"] = "<b>bold</b> & \u202e"
    artifacts.write_json(folder / artifacts.MANIFEST, manifest)
    report.run(workspace)
    assert "&lt;b&gt;bold&lt;/b&gt; &amp;" in PAGE.read_text()
    assert "<b>bold</b>" not in PAGE.read_text()


def test_two_protocols_do_not_stand_in_one_table(workspace: Params) -> None:
    protocol = load_outcome(workspace).protocol
    edit("k4", protocol["hash"], "0" * 64)
    edit("k4", '"shift": 3.0', '"shift": 5.0')
    with pytest.raises(UserError, match=r"data/evaluations/.*protocol shift differs"):
        report.run(workspace)


def test_missing_evaluation_says_what_to_run(workspace: Params) -> None:
    Path("data/evaluations/k1/evaluation.json").unlink()
    with pytest.raises(UserError, match="run `gpd evaluate k1`"):
        report.run(workspace)
