"""The page, in a real browser: what it shows, how it filters and sorts, and that no text becomes markup."""

import base64
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpd.data.clips import write_mp4
from gpd.documents import ClipsFacts, identify, write_manifest
from gpd.registry import describe, list_checkpoints, open_registry, promote, remark, render_page, sync
from gpd.registry.page import ShownMetric, _edges
from tests.browser import dump_dom
from tests.registry.conftest import content_of, make_evaluation, make_facts, make_folder, make_student, subject_of

EVIL = "</script><img src=x onerror=\"document.title='owned'\">{{ 7 * 7 }}{% raw %}'\"&amp;"
METRICS = [
    ShownMetric("trajectory_error", "Trajectory error", "how far", True),
    ShownMetric("motion_ratio", "Motion", EVIL, False),
]


@pytest.fixture
def page(workspace: Path) -> Path:
    """The page of the workspace with a rival of k8, a clip, an alias, and hostile text wherever text may be."""
    rival = make_student(workspace, "k8b", 8, workspace / "data/students/k4", text="rival")
    make_evaluation(workspace, "k8b", {EVIL: subject_of(rival, error=0.02, steps=6)})
    make_evaluation(workspace, "teacher", {"nan": subject_of(workspace / "data/tiny-wan", error="nan", steps=6)})
    make_folder(workspace / "data/students/evil", kind="base", facts={"name": EVIL}, params={EVIL: EVIL}, text="evil")
    make_clip(workspace)
    sync()
    with open_registry(writes=True) as session:
        promote(session=session, key="k8", alias="champion", because=EVIL)
        remark(session=session, key="k8", text=EVIL)
        (workspace / "registry.html").write_text(render_page(session=session, metrics=METRICS))
    return workspace / "registry.html"


def make_clip(workspace: Path) -> None:
    folder = workspace / "data/evaluations/k8/some"
    write_mp4(folder / "k8-000-seed0.mp4", np.zeros((5, 16, 16, 3), np.uint8), 8.0)
    (folder / "large.mp4").write_bytes(b"0" * 500_000)
    secret = workspace / "secret.mp4"
    secret.write_text("what nobody may see")
    (folder / "link.mp4").symlink_to(secret)
    clips = [
        {"file": name, "subject": "k8", "prompt": EVIL, "seed": 0}
        for name in ("k8-000-seed0.mp4", "large.mp4", "../../../../secret.mp4", str(secret), "link.mp4")
    ]
    inputs = {"checkpoint": identify(workspace / "data/students/k8")}
    write_manifest(folder, make_facts(ClipsFacts.kind, clips=clips), inputs=inputs, params={})


def rows(dom: str) -> list[list[str]]:
    body = re.search(r'<tbody id="body">(.*?)</tbody>', dom, re.DOTALL)
    assert body
    lines = re.findall(r"<tr.*?</tr>", body[1], re.DOTALL)
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[dh].*?</t[dh]>", line, re.DOTALL)]
        for line in lines
    ]


def test_everything_is_shown_and_nothing_runs(page: Path, tmp_path: Path) -> None:
    dom = dump_dom(page, tmp_path, f"chosen={content_of(Path('data/students/k8'))}")
    assert "<title>gpd registry</title>" in dom
    assert "<img" not in dom
    names = ["tiny-wannan", "k1", "k2", "k4", "k8champion", f"k8b{EVIL}"]  # with the alias, or the subject's other name
    assert [row[0] for row in rows(dom)] == names
    assert rows(dom)[0][1] == "nan"
    assert "7 checkpoints, 6 of 6 measurements shown" in dom
    assert dom.count('<path class="edge"') == 5  # teacher -> k1 -> k2 -> k4 -> k8, and k4 -> k8b
    assert re.search(r'class="name">k8<tspan class="alias"> champion</tspan>', dom)
    details = re.search(r'<div id="details">(.*?)</div>', dom, re.DOTALL)
    assert details
    assert EVIL in unescape(details[1])  # the remark
    assert "data/students/k8" in details[1]
    assert dom.count('class="metric">0.0625 at 6 steps<') == 1


def test_clips_are_inside_the_page_and_in_step(page: Path, tmp_path: Path) -> None:
    clip = base64.b64encode(Path("data/evaluations/k8/some/k8-000-seed0.mp4").read_bytes()).decode()
    playing = (
        "const v = document.querySelector('video'); v.onloadeddata = () => v.dataset.width = v.videoWidth; v.load();"
    )
    dom = dump_dom(page, tmp_path, script=playing)
    assert re.findall(r'<video[^>]*src="([^"]*)"', dom) == [f"data:video/mp4;base64,{clip}"]  # not the large one
    assert 'data-width="16"' in dom, "the browser decodes the clip"
    assert f"“{EVIL}”" in unescape(dom)
    assert re.search(r'<div class="players" data-frames="17" data-rate="16"[^>]*><div class="controls">', dom)
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import""", page.read_text().replace(EVIL, ""))


def test_filter_and_sort(page: Path, tmp_path: Path) -> None:
    fragment = "filter=horizon%3D8+k8&sort=trajectory_error&order=up"
    assert [row[0][:3] for row in rows(dump_dom(page, tmp_path, fragment))] == ["k8b", "k8c"]


def test_headline_metrics_stand_first_and_columns_are_chosen_and_kept(page: Path, tmp_path: Path) -> None:
    before = heads(dump_dom(page, tmp_path))
    assert before == ["name", "Trajectory error ↓", "forwards", "sampled with"]
    script = """
        [...document.querySelectorAll('#columns label')].find(one => one.textContent === 'psnr ↑').click();
        document.title = location.hash;
    """
    dom = dump_dom(page, tmp_path, script=script)
    assert heads(dom) == ["name", "Trajectory error ↓", "psnr ↑", "forwards", "sampled with"]
    kept = re.search(r"<title>#(.*?)</title>", dom)
    assert kept
    assert heads(dump_dom(page, tmp_path, unescape(kept[1]))) == heads(dom)


def heads(dom: str) -> list[str]:
    head = re.search(r'<tr id="head">(.*?)</tr>', dom, re.DOTALL)
    assert head
    return [unescape(text) for text in re.findall(r"<button[^>]*>(.*?)</button>", head[1])]


def test_a_click_sorts_and_typing_filters(page: Path, tmp_path: Path) -> None:
    script = """
        document.querySelector('#head button[data-column=trajectory_error]').click();
        const typed = document.getElementById('filter');
        typed.value = 'students';
        typed.dispatchEvent(new Event('input'));
        document.querySelector('#body button').click();
    """
    dom = dump_dom(page, tmp_path, script=script)
    assert [row[0][:3] for row in rows(dom)] == ["k8b", "k8c", "k4", "k2", "k1"]
    assert re.search(r'<th [^>]*aria-sort="ascending"><button[^>]*>Trajectory error ↓ ▲', dom)
    assert re.search(r'<div id="details"><h3>k8b</h3>', dom)
    assert 'class="node base dim"' in dom


def test_an_empty_registry_has_a_page(made_sqlite: Path, tmp_path: Path) -> None:
    with open_registry(str(made_sqlite)) as session:
        (tmp_path / "registry.html").write_text(render_page(session=session))
    assert "0 checkpoints, 0 of 0 measurements shown" in dump_dom(tmp_path / "registry.html", tmp_path)


# --- what the page is made of, without a browser


def data_of(html: str) -> Any:
    """The document that the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def made(workspace: Path, synced_sqlite: Path) -> Any:
    with open_registry(str(synced_sqlite)) as session:
        return data_of(render_page(session=session, workspace=workspace, metrics=METRICS))


def test_the_page_holds_each_checkpoint_with_what_it_came_from_and_what_was_said(
    workspace: Path, synced_sqlite: Path
) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    with open_registry(url, writes=True) as session:
        remark(session=session, key="k8", text="looks well", by="Ada")
        remark(session=session, key="k8", text="still does", by="Ada")
        describe(session=session, key="k8", text="six steps")
        remark(session=session, key="k4", text="of another")
        html = render_page(session=session, workspace=workspace, metrics=METRICS)
    data = data_of(html)
    found = {one["name"]: one for one in data["checkpoints"]}
    assert list(found) == ["tiny-wan", "k1", "k2", "k4", "k8"]
    k8 = found["k8"]
    assert [(one["by"], one["text"]) for one in k8["remarks"]] == [("Ada", "looks well"), ("Ada", "still does")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", one["at"]) for one in k8["remarks"])
    assert (k8["description"], k8["params"]["horizon"], k8["role"]) == ("six steps", "8.0", "student")
    assert [relation for relation, _ in k8["parents"]] == ["latents", "previous", "teacher"]
    assert dict(k8["parents"])["previous"] == f"k4 {found['k4']['content'][:12]}"
    assert found["tiny-wan"]["parents"] == []
    assert data["note"] == ""
    assert [metric["name"] for metric in data["metrics"]] == ["trajectory_error", "motion_ratio"]
    assert [row["num_prompts"] for row in data["protocols"].values()] == [4]
    # one edge to each student: from the one before, else from the teacher
    assert html.count('<path class="edge"') == 4


def test_a_row_of_the_page_is_one_way_of_sampling_with_its_scores(workspace: Path, synced_sqlite: Path) -> None:
    data = made(workspace, synced_sqlite)
    rows = {(row["subject"], row["setting"]): row for row in data["rows"]}
    assert set(rows) == {
        ("euler-6", "6 steps euler w=5"),
        ("unipc-6", "6 steps unipc w=5"),
        *((f"k{horizon}", f"{48 // horizon} steps euler w=1") for horizon in (1, 2, 4, 8)),
    }
    k8 = rows["k8", "6 steps euler w=1"]
    assert k8["content"] == content_of(workspace / "data/students/k8")
    assert (k8["steps"], k8["forwards"], k8["complete"]) == (6, 6, True)
    assert k8["scores"] == {
        "trajectory_error": [0.0625, 0.01, "lower", 8],
        "psnr": [20.6, 0.01, "higher", 8],
        "motion_ratio": [1 + 1 / 6, 0.01, "one", 8],
    }


def test_a_student_without_one_before_it_hangs_on_its_teacher(workspace: Path, synced_sqlite: Path) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    teacher = workspace / "data/tiny-wan"
    make_folder(workspace / "data/students/a", kind="student", facts={"stage": "a"}, inputs={"teacher": teacher})
    make_folder(workspace / "data/students/b", kind="student", facts={"stage": "b"})
    sync(workspace=workspace, url=url)
    with open_registry(url) as session:
        listed = list_checkpoints(session=session)
        edges = _edges(listed, session)
    names = {row.content: row.name for row in listed}
    assert {(names[parent], names[child]) for parent, child in edges} == {
        ("tiny-wan", "k1"),
        ("k1", "k2"),
        ("k2", "k4"),
        ("k4", "k8"),
        ("tiny-wan", "a"),
    }


def test_more_checkpoints_than_the_page_has_room_for(
    workspace: Path, synced_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpd.registry.page.MOST_CHECKPOINTS", 2)
    data = made(workspace, synced_sqlite)
    assert len(data["checkpoints"]) == 2
    assert data["note"] == "the first 2 checkpoints; there are more in the registry"


def clips_folder(workspace: Path, sizes: dict[str, int], subject: str = "k8", **params: Any) -> None:
    folder = workspace / f"data/evaluations/{subject}/some"
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        (folder / name).write_bytes(b"0" * size)
    clips = [{"file": name, "subject": subject, "prompt": f"of {name}", "seed": 3} for name in [*sizes, "gone.mp4"]]
    inputs = {"checkpoint": identify(workspace / "data/students/k8")}
    write_manifest(folder, make_facts(ClipsFacts.kind, clips=clips), inputs=inputs, params=params)


def test_small_clips_of_a_subject_are_inside_and_no_others(workspace: Path, synced_sqlite: Path) -> None:
    sizes = {f"{number}.mp4": 10 + number for number in range(6)}
    clips_folder(workspace, {"large.mp4": 400_001, "most.mp4": 400_000, **sizes})
    found = made(workspace, synced_sqlite)["clips"]
    assert [one["prompt"] for one in found] == [f"of {name}" for name in ("most.mp4", "0.mp4", "1.mp4")]  # of four
    first = found[1]
    assert (first["subject"], first["seed"], first["rate"]) == ("k8", 3, 16.0)
    assert first["content"] == content_of(workspace / "data/students/k8")
    assert base64.b64decode(first["src"].partition("base64,")[2]) == b"0" * 10
    assert first["protocol"] in made(workspace, synced_sqlite)["protocols"]


def test_all_clips_together_have_a_budget(
    workspace: Path, synced_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips_folder(workspace, {"a.mp4": 60, "b.mp4": 50, "c.mp4": 40})
    monkeypatch.setattr("gpd.registry.page.MOST_CLIPS_BYTES", 100)
    assert [one["prompt"] for one in made(workspace, synced_sqlite)["clips"]] == ["of a.mp4", "of c.mp4"]


def test_a_rate_is_the_manifest_s_and_a_folder_of_another_kind_has_no_clips(
    workspace: Path, synced_sqlite: Path
) -> None:
    clips_folder(workspace, {"a.mp4": 10}, subject="k4", **{"encode.frames_per_second": 8})
    make_folder(workspace / "data/evaluations/k4/other", kind="prompts")
    (workspace / "data/evaluations/k4/broken").mkdir()
    (workspace / "data/evaluations/k4/broken/manifest.json").write_text("{")
    assert [(one["subject"], one["rate"]) for one in made(workspace, synced_sqlite)["clips"]] == [("k4", 8.0)]
