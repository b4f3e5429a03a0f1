"""The page, in a real browser: what it shows, how it filters and sorts, and that no text becomes markup."""

import base64
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from gpd.data.clips import write_mp4
from gpd.documents import ClipsFacts, identify, write_manifest
from gpd.registry import graph, open_registry, promote, remark, render_page, sync
from tests.browser import dump_dom
from tests.registry.conftest import content_of, make_evaluation, make_facts, make_folder, make_student, subject_of

EVIL = "</script><img src=x onerror=\"document.title='owned'\">{{ 7 * 7 }}{% raw %}'\"&amp;"


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
        (workspace / "registry.html").write_text(render_page(session=session))
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
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<td.*?</td>", line, re.DOTALL)]
        for line in lines
    ]


def test_everything_is_shown_and_nothing_runs(page: Path, tmp_path: Path) -> None:
    dom = dump_dom(page, tmp_path, f"chosen={content_of(Path('data/students/k8'))}")
    assert "<title>gpd registry</title>" in dom
    assert "<img" not in dom
    assert [row[0] for row in rows(dom)] == ["tiny-wan", "k1", "k2", "k4", "k8", "k8b"]
    assert rows(dom)[5][1] == EVIL
    assert rows(dom)[0][-1] == "nan"
    assert "7 checkpoints, 6 of 6 measurements shown" in dom
    assert dom.count('<path class="edge"') == 5  # teacher -> k1 -> k2 -> k4 -> k8, and k4 -> k8b
    assert re.search(r'class="name">k8<tspan class="alias"> champion</tspan>', dom)
    details = re.search(r'<div id="details">(.*?)</div>', dom, re.DOTALL)
    assert details
    assert EVIL in unescape(details[1])  # the remark
    assert "data/students/k8" in details[1]
    assert dom.count('class="metric">0.0625 at 6 steps<') == 1


def test_clips_are_inside_the_page(page: Path, tmp_path: Path) -> None:
    clip = base64.b64encode(Path("data/evaluations/k8/some/k8-000-seed0.mp4").read_bytes()).decode()
    playing = (
        "const v = document.querySelector('video'); v.onloadeddata = () => v.dataset.width = v.videoWidth; v.load();"
    )
    dom = dump_dom(page, tmp_path, script=playing)
    assert re.findall(r'<video[^>]*src="([^"]*)"', dom) == [f"data:video/mp4;base64,{clip}"]  # not the large one
    assert 'data-width="16"' in dom, "the browser decodes the clip"
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import""", page.read_text().replace(EVIL, ""))


def test_filter_and_sort(page: Path, tmp_path: Path) -> None:
    fragment = "filter=horizon%3D8+k8&sort=trajectory_error&order=up"
    assert [row[0] for row in rows(dump_dom(page, tmp_path, fragment))] == ["k8b", "k8"]


def test_a_click_sorts_and_typing_filters(page: Path, tmp_path: Path) -> None:
    script = """
        [...document.querySelectorAll('#head button')].find(one => one.textContent === 'trajectory_error').click();
        const box = document.getElementById('filter'); box.value = 'students'; box.dispatchEvent(new Event('input'));
        document.querySelector('#body tr').click();
    """
    dom = dump_dom(page, tmp_path, script=script)
    assert [row[0] for row in rows(dom)] == ["k8b", "k8", "k4", "k2", "k1"]
    assert re.search(r'<th class="number" aria-sort="ascending"><button>trajectory_error ↑', dom)
    assert re.search(r'<div id="details"><h2>k8b</h2>', dom)
    assert 'class="node base dim"' in dom


def test_an_empty_registry_has_a_page(made_sqlite: Path, tmp_path: Path) -> None:
    with open_registry(str(made_sqlite)) as session:
        (tmp_path / "registry.html").write_text(render_page(session=session))
    assert "0 checkpoints, 0 of 0 measurements shown" in dump_dom(tmp_path / "registry.html", tmp_path)


def test_the_graph_puts_children_right_of_their_parents() -> None:
    edges = [("teacher", "a"), ("teacher", "b"), ("a", "ab"), ("ab", "c")]
    places = graph.arrange({name: name for name in ("teacher", "a", "b", "ab", "c")}, edges)
    assert all(places[parent][0] < places[child][0] for parent, child in edges)
    assert len(set(places.values())) == len(places)


def test_a_circle_can_be_arranged() -> None:
    places = graph.arrange({name: name for name in "abc"}, [("a", "b"), ("b", "a"), ("c", "c")])
    assert len(set(places.values())) == 3
