import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import Spectrum
from gpd.evaluation.metrics import METRICS
from gpd.pages.palette import INK, make_look
from gpd.params import Params
from gpd.report import report
from gpd.report.charts import subject_colour
from gpd.report.lead import make_rows, make_tiles
from gpd.report.outcome import CLIPS, find_best, load_outcome
from gpd.report.profiles import MOST_POINTS, thinned
from gpd.report.tables import columns, count_wins, make_scores, rival_tables
from gpd.report.terminal import WIDTH_OF_FILES, fit
from tests import seals
from tests.pages.test_html import Reader

PAGE = Path("data/report/report.html")


def edit(name: str, old: str, new: str) -> None:
    path = Path(f"data/evaluations/{name}/evaluation.json")
    seals.edit(path, lambda text: text.replace(old, new))


def forget_files(name: str) -> None:
    """As earlier versions wrote it: what lies beside an evaluation is not checked."""
    path = Path(f"data/evaluations/{name}/evaluation.json")
    seals.write_sealed(path, json.loads(path.read_text()) | {"files": {}})


def test_page_is_whole_and_self_contained(workspace: Params) -> None:
    report.run(workspace)
    page = Reader(PAGE.read_text())
    tags = [tag for tag, _ in page.tags]
    assert tags.count("video") == 2 * (3 + 2)  # two prompts: reference, baseline, lead; differences of the last two
    assert tags.count("figure") == 5 + 6  # no Fréchet chart: six samples are too few
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert documents.verify(PAGE.parent) == []


def test_students_stand_beside_the_teacher_in_as_many_steps(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    assert outcome.by_steps == {8: ["teacher-8", "k1"], 4: ["teacher-4-unipc"], 2: ["k4", "teacher-2"]}
    assert outcome.line_up == {"k4": "teacher-2"}  # in k1's 8 steps there is the reference alone
    assert {row.name: row.ahead[:6] for rows in make_rows(outcome) for row in rows if row.ahead} == {
        "teacher-2": "k4 in "
    }
    assert [(tile.name, tile.forwards) for tile in make_tiles(outcome)] == [("k4", 2)]


def test_a_last_student_without_such_a_teacher_is_still_shown(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    alone = replace(outcome, subjects={name: outcome.subjects[name] for name in ("k1", "k4", "teacher-8")})
    assert alone.line_up == {"k4": None}
    assert all(";" not in line for tile in make_tiles(alone) for line in tile.lines)
    assert replace(outcome, subjects={"teacher-8": outcome.subjects["teacher-8"]}).line_up == {}


def test_the_best_is_marked_among_those_in_as_many_steps(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    names = list(outcome.subjects)
    marked = {
        name
        for cells in make_scores(outcome, names).values()
        for name, cell in zip(names, cells, strict=True)
        if cell.is_best
    }
    assert marked <= {"k4", "teacher-2"}  # the others have none beside them
    won, differing = count_wins(outcome, "k4", "teacher-2")
    lost, as_many = count_wins(outcome, "teacher-2", "k4")
    assert won + lost == differing == as_many > 0


def test_terminal_shows_the_table_and_ends_with_the_path(workspace: Params, capsys: pytest.CaptureFixture[str]) -> None:
    report.run(workspace)
    lines = capsys.readouterr().out.strip().split("\n")
    assert lines[-1] == f"report: {PAGE.resolve()}"
    assert [line.split()[:2] for line in lines if line.strip().startswith("k")] == [["k1", "8"], ["k4", "2"]]


def test_all_metrics_fit_the_width_in_parts(workspace: Params, capsys: pytest.CaptureFixture[str]) -> None:
    report.run(workspace)
    capsys.readouterr()
    report.show(workspace, has_all=True)
    *lines, last = capsys.readouterr().out.rstrip().split("\n")
    assert last == f"report: {PAGE.resolve()}"
    assert max(map(len, lines)) <= WIDTH_OF_FILES
    outcome = load_outcome(workspace)
    assert sum(any(METRICS[metric].label in line for line in lines) for metric in outcome.metrics) == len(
        outcome.metrics
    )
    assert fit(["a" * 10, "b", "c" * 8], 21) == [["a" * 10, "b"], ["c" * 8]]
    assert fit(["a" * 10], 5) == [["a" * 10]]


def test_a_collapsed_student_is_marked_on_page_and_terminal(
    workspace: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("data/evaluations/k4/evaluation.json")
    found = json.loads(path.read_text())
    found["subjects"]["k4"]["metrics"]["spectral_time_ratio"]["value"] = 0.01
    seals.write_sealed(path, found)
    report.run(workspace)
    assert "k4 has collapsed:" in PAGE.read_text()
    assert "collapsed: k4: spectral_time_ratio is 0.01, outside 0.33 to 3" in capsys.readouterr().out


def test_best_is_marked_by_direction_and_never_where_all_are_alike(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    error, psnr = (
        {name: outcome.subjects[name].metrics[metric].value for name in ("k1", "k4")}
        for metric in ("trajectory_error", "psnr")
    )
    assert outcome.best("trajectory_error", ["k1", "k4"]) == {min(error, key=error.__getitem__)}
    assert outcome.best("psnr", ["k1", "k4"]) == {max(psnr, key=psnr.__getitem__)}
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
    seals.write_sealed(Path("data/evaluations/k4/evaluation.json"), evaluation)
    report.run(workspace)
    row = re.search(r'<tr><th scope="row"><span title="[^"]*">PSNR.*?</tr>', PAGE.read_text())
    assert row is not None
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row[0])
    assert [cell == "–" for cell in cells] == [name in ("teacher-8", "k4") for name in columns(load_outcome(workspace))]


def test_prompts_are_escaped(workspace: Params) -> None:
    path = Path("data/evaluations/reference") / CLIPS / artifacts.MANIFEST
    manifest = json.loads(path.read_text())
    for clip in manifest["facts"]["clips"]:
        clip["prompt"] = "<b>bold</b> & \u202e"
    seals.write_sealed(path, manifest)
    report.run(workspace)
    assert "&lt;b&gt;bold&lt;/b&gt; &amp;" in PAGE.read_text()
    assert "<b>bold</b>" not in PAGE.read_text()


def test_two_protocols_do_not_stand_in_one_table(workspace: Params) -> None:
    protocol = load_outcome(workspace).protocol
    edit("k4", protocol.hash, "0" * 64)
    edit("k4", '"shift": 3.0', '"shift": 5.0')
    with pytest.raises(UserError, match=r"data/evaluations/.*protocol shift differs"):
        report.run(workspace)


def test_missing_evaluation_says_what_to_run(workspace: Params) -> None:
    Path("data/evaluations/k1/evaluation.json").unlink()
    with pytest.raises(UserError, match="run `gpd evaluate k1`"):
        report.run(workspace)


def rival(variant: str, label: str, error: float, **changes: Any) -> dict[str, Any]:
    metrics = {"trajectory_error": {"mean": error, "std": 0.125}, "psnr": {"mean": 30.0, "std": None}}
    counts = {"budget": 71_000, "num_seeds": 3, "sampling_forwards": 2, "training_forwards": 71_234}
    row = {
        "variant": variant,
        "origin": variant,
        "group": "rivals",
        "label": label,
        "protocol": "p",
        "metrics": metrics,
    }
    made = {"steps": 2, "learning_rate": 1e-3, "commit": None, "runs": []}
    return row | counts | made | changes


def save_rivals(protocol: str, *more: dict[str, Any]) -> None:
    rows = [
        *more,
        rival("a", "One <shot>", 0.5),
        rival("b", "Second best", 0.75),
        rival("c", "Another rate", 0.25, group="optimiser"),
    ]
    results = {"format": 1, "protocol": protocol, "seeds": [0, 1, 2], "rows": rows, "floors": []}
    artifacts.write_json(Path("data/ablation/results.json"), results)


def test_rivals_of_the_same_protocol_stand_in_charts_and_a_table(workspace: Params) -> None:
    save_rivals(load_outcome(workspace).protocol.hash)
    report.run(workspace)
    page = PAGE.read_text()
    rows = re.findall(r'<tr><th scope="row">One &lt;shot&gt;</th>.*?</tr>', page)
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    counts = ["2", "71,234", "3"]
    assert cells == [
        ["<mark>0.500</mark><small> ± 0.125</small>", *counts],
        ["30.00", *counts],  # both rivals' PSNR: neither is best
    ]
    assert "rivals, about 71,000 forwards of training, mean ± spread" in page
    assert "<title>One &lt;shot&gt;: 71.2k, 0.5 ± 0.125</title>" in page
    assert "<title>One &lt;shot&gt;: 2, 0.5 ± 0.125</title>" in page
    assert "Another rate" not in page


def test_the_ranking_has_rivals_of_one_budget_and_what_took_no_training(workspace: Params) -> None:
    """The lead took another budget: its place among them would say nothing."""
    save_rivals(load_outcome(workspace).protocol.hash)
    report.run(workspace)
    ranking = names_in("Trajectory error in 2 steps at about 71,000 forwards of training")
    assert ranking == {"One &lt;shot&gt;", "Second best", "teacher-2"}


def names_in(title: str) -> set[str]:
    """Of the points of the page's chart of that title."""
    (chart,) = re.findall(rf"<figure>\n<figcaption>{title}.*?</figure>", PAGE.read_text(), re.DOTALL)
    return set(re.findall(r"<title>(.*?):", chart))


def test_rivals_stand_beside_students_and_baselines_in_as_many_steps_alone(workspace: Params) -> None:
    save_rivals(load_outcome(workspace).protocol.hash, rival("d", "In four", 0.125, steps=4, sampling_forwards=4))
    report.run(workspace)
    assert names_in("Trajectory error in 4 steps at about") == {"In four", "teacher-4-unipc"}
    assert names_in("Trajectory error in 4 steps against cost of training") == {"In four", "teacher-4-unipc"}
    two = {"One &lt;shot&gt;", "Second best", "teacher-2"}
    assert names_in("Trajectory error in 2 steps at about") == two
    assert names_in("Trajectory error in 2 steps against cost of training") == two | {"k4"}
    assert names_in("Trajectory error against cost of a clip") >= two | {"In four", "k1", "k4"}  # its axis is the cost
    cells = {row.label: row.cells[0] for row in rival_tables(load_outcome(workspace).rivals)[0].rows}
    assert {label: cell.is_best for label, cell in cells.items()} == {
        "In four": False,
        "One <shot>": True,
        "Second best": False,
    }


@pytest.mark.parametrize("has_file", [True, False])
def test_no_rivals_under_another_protocol_or_without_an_ablation(workspace: Params, has_file: bool) -> None:
    if has_file:
        save_rivals("0" * 64)
    report.run(workspace)
    assert not any(word in PAGE.read_text() for word in ("One &lt;shot&gt;", "Rivals"))


def test_spectra_are_ones_over_themselves(workspace: Params) -> None:
    """A subject with the reference's own profile lies on the dashed line."""
    path, theirs = Path("data/evaluations/k4/profiles.json"), Path("data/evaluations/reference/profiles.json")
    profiles = json.loads(path.read_text())
    profiles["subjects"]["k4"] = json.loads(theirs.read_text())["subjects"]["teacher-8"]
    artifacts.write_json(path, profiles)
    forget_files("k4")
    report.run(workspace)
    charts = re.findall(r"<figure>.*?</figure>", PAGE.read_text(), re.DOTALL)
    ratios = [chart for chart in charts if "over the reference&#39;s<small>" in chart]
    assert len(ratios) == 2
    for chart in ratios:
        rule = re.search(r'<g class="mark-rule role-mark[^>]*><line transform="translate\([\d.]+,([\d.]+)\)', chart)
        line = re.search(r'd="M([^"]*)" stroke="' + re.escape(make_look(0).paint), chart)
        assert rule is not None
        assert line is not None
        assert {point.split(",")[1] for point in line[1].split("L")} == {rule[1]}


def test_no_two_subjects_share_a_colour_and_the_reference_has_that_of_text(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    colours = [subject_colour(outcome, name) for name in outcome.subjects]
    assert len(set(colours)) == len(colours)
    assert colours[list(outcome.subjects).index(outcome.reference)] == INK


def test_students_of_a_chain_are_drawn_each_in_its_own_colour(workspace: Params) -> None:
    report.run(workspace)
    chart = re.findall(
        r"<figure>\n<figcaption>Trajectory error against cost of a clip.*?</figure>", PAGE.read_text(), re.S
    )
    entries = dict(
        re.findall(r'<li style="color: ([^"]*)">.*?<span>(k\d), [\d,]+ forwards of training</span>', chart[0])
    )
    outcome = load_outcome(workspace)
    assert entries == {make_look(subject_colour(outcome, name)).paint: name for name in ("k4", "k1")}


def test_training_forwards_are_without_probes_as_the_rivals_are(workspace: Params) -> None:
    outcome = load_outcome(workspace)
    spent = {name: sum(found.facts.forwards.values()) for name, found in outcome.students.items()}
    probes = sum(found.facts.forwards["probe"] for found in outcome.students.values())
    assert outcome.training_forwards["k4"] == sum(spent.values()) - probes


def test_the_best_of_what_a_reader_sees() -> None:
    assert find_best("trajectory_error", {"a": 0.1, "b": 0.2}) == {"a"}
    assert find_best("trajectory_error", {"a": 0.1001, "b": 0.1002, "c": 0.3}) == {"a", "b"}
    assert find_best("trajectory_error", {"a": 0.1001, "b": 0.1002}) == set()
    assert find_best("trajectory_error", {"a": 0.1}) == set()


def test_profiles_of_another_protocol_are_refused(workspace: Params) -> None:
    path = Path("data/evaluations/k1/profiles.json")
    artifacts.write_text(path, path.read_text().replace(load_outcome(workspace).protocol.hash, "0" * 64))
    forget_files("k1")
    with pytest.raises(UserError, match=r"k1/profiles.json: of another protocol; run `gpd evaluate k1`"):
        report.run(workspace)


@pytest.mark.parametrize("file", ["../../../../secret.txt", "link.mp4"])
@pytest.mark.parametrize("key", ["clips", "differences"])
def test_files_of_other_folders_are_never_on_the_page(workspace: Params, key: str, file: str) -> None:
    Path("secret.txt").write_text("secret")
    path = Path("data/evaluations/k4/clips/manifest.json")
    (path.parent / "link.mp4").symlink_to("../../../../secret.txt")
    manifest = json.loads(path.read_text())
    manifest["facts"][key][0]["file"] = file
    seals.write_sealed(path, manifest)
    before = PAGE.read_bytes() if PAGE.exists() else None
    with pytest.raises(UserError, match=f"k4/clips: file='{re.escape(file)}' is not a file of this folder"):
        report.run(workspace)
    assert (PAGE.read_bytes() if PAGE.exists() else None) == before


def test_published_figures_say_that_ours_do_not_compare(workspace: Params) -> None:
    report.run(workspace)
    page = Reader(PAGE.read_text())
    assert {"84.04", "83.92", "82.54"} <= set(page.texts)
    assert any("not comparable with the lines above" in text for text in page.texts)
    assert any("80.13 to 84.26 in five papers" in text for text in page.texts)


def test_protocol_in_words_says_what_the_spread_is_over(workspace: Params) -> None:
    report.run(workspace)
    words = " ".join(PAGE.read_text().split())
    assert "standard deviation over the noise seeds, of one trained student. There are 2 here." in words


def test_fine_spectra_are_averaged_to_what_an_eye_can_follow() -> None:
    frequencies = [ring / 480 for ring in range(1, 241)]
    points = thinned(Spectrum(frequency=frequencies, power=[1 / x for x in frequencies]))
    assert 20 <= len(points) <= MOST_POINTS
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[0] == pytest.approx((frequencies[0], 480))
    assert [y * x for x, y in points] == pytest.approx([1.0] * len(points), rel=0.01)
