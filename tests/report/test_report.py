import json
import re
from pathlib import Path

import pytest

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.params import Params
from gpd.report import report
from gpd.report.outcome import load_outcome
from gpd.report.profiles import MOST_POINTS, thinned
from tests.pages.test_html import Reader

PAGE = Path("data/report/report.html")


def edit(name: str, old: str, new: str) -> None:
    path = Path(f"data/evaluations/{name}/evaluation.json")
    artifacts.write_text(path, path.read_text().replace(old, new))


def test_page_is_whole_and_self_contained(workspace: Params) -> None:
    report.run(workspace)
    page = Reader(PAGE.read_text())
    tags = [tag for tag, _ in page.tags]
    assert tags.count("video") == 2 * (3 + 2)  # two prompts: reference, rival, lead; differences of the last two
    assert tags.count("figure") == 5 + 6  # no Fréchet chart: six samples are too few
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert documents.verify(PAGE.parent) == []


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
    folder = Path("data/evaluations/reference/clips")
    manifest = documents.load_manifest(folder)
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


def save_rivals(protocol: str) -> None:
    metrics = {"trajectory_error": {"mean": 0.5, "std": 0.125}, "psnr": {"mean": 30.0, "std": None}}
    common = {"num_seeds": 3, "sampling_forwards": 2, "metrics": metrics}
    rows = [
        {"variant": "a", "group": "rivals", "label": "One <shot>", "training_forwards": 71_234, **common},
        {"variant": "b", "group": "optimiser", "label": "Another rate", "training_forwards": 5, **common},
    ]
    artifacts.write_json(Path("data/ablation/results.json"), {"format": 1, "protocol": protocol, "rows": rows})


def test_rivals_of_the_same_protocol_stand_in_charts_and_a_table(workspace: Params) -> None:
    save_rivals(load_outcome(workspace).protocol["hash"])
    report.run(workspace)
    page = PAGE.read_text()
    row = re.search(r'<tr><th scope="row">One &lt;shot&gt;</th>.*?</tr>', page)
    assert row is not None
    assert re.findall(r"<td>(.*?)</td>", row[0])[:4] == [
        "2",
        "71,234",
        "3",
        "<mark>0.500</mark><small> ± 0.125</small>",
    ]
    assert "<title>One &lt;shot&gt;: 71.2k, 0.5 ± 0.125</title>" in page
    assert "<title>One &lt;shot&gt;: 2, 0.5 ± 0.125</title>" in page
    assert "Ranking: Trajectory error" in page
    assert "Another rate" not in page


@pytest.mark.parametrize("has_file", [True, False])
def test_no_rivals_under_another_protocol_or_without_an_ablation(workspace: Params, has_file: bool) -> None:
    if has_file:
        save_rivals("0" * 64)
    report.run(workspace)
    assert not any(word in PAGE.read_text() for word in ("One &lt;shot&gt;", "Ranking", "Rivals"))


def test_spectra_are_ones_over_themselves(workspace: Params) -> None:
    """A subject with the reference's own profile lies on the dashed line."""
    path, theirs = Path("data/evaluations/k4/profiles.json"), Path("data/evaluations/reference/profiles.json")
    profiles = json.loads(path.read_text())
    profiles["subjects"]["k4"] = json.loads(theirs.read_text())["subjects"]["teacher-8"]
    artifacts.write_json(path, profiles)
    report.run(workspace)
    charts = re.findall(r"<figure>.*?</figure>", PAGE.read_text(), re.DOTALL)
    for chart in [chart for chart in charts if "over the reference&#x27;s</text>" in chart]:
        rule = re.search(r'class="rule" d="M\S+ (\S+)H', chart)
        line = re.search(r'<g class="c0"><path class="line" d="M([^"]*)"', chart)
        assert rule is not None
        assert line is not None
        assert {point.split(" ")[1] for point in line[1].split("L")} == {rule[1]}


def test_profiles_of_another_protocol_are_refused(workspace: Params) -> None:
    path = Path("data/evaluations/k1/profiles.json")
    artifacts.write_text(path, path.read_text().replace(load_outcome(workspace).protocol["hash"], "0" * 64))
    with pytest.raises(UserError, match=r"k1/profiles.json: of another protocol; run `gpd evaluate k1`"):
        report.run(workspace)


def test_published_figures_say_that_ours_do_not_compare(workspace: Params) -> None:
    report.run(workspace)
    page = Reader(PAGE.read_text())
    assert {"84.04", "83.92", "82.54"} <= set(page.texts)
    assert any("not comparable with the lines above" in text for text in page.texts)
    assert any("80.13 to 84.26 in five papers" in text for text in page.texts)


def test_protocol_in_words_says_what_the_spread_is_over(workspace: Params) -> None:
    report.run(workspace)
    assert "standard deviation over the noise seeds, of one trained student. There are 2 here." in PAGE.read_text()


def test_fine_spectra_are_averaged_to_what_an_eye_can_follow() -> None:
    frequencies = [ring / 480 for ring in range(1, 241)]
    spectrum = {"frequency": frequencies, "power": [1 / x for x in frequencies]}
    points = thinned(spectrum)
    assert 20 <= len(points) <= MOST_POINTS
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[0] == pytest.approx((frequencies[0], 480))
    assert [y * x for x, y in points] == pytest.approx([1.0] * len(points), rel=0.01)
