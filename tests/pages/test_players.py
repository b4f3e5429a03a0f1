"""The players' script in a real browser: what bar, buttons, keys and clicks do to all clips at once."""

import re
from pathlib import Path

import numpy as np
import pytest

from gpd.data.clips import write_mp4
from gpd.pages import html
from tests.browser import dump_dom

NUM_FRAMES, RATE = 5, 8.0
TEMPLATE = """{% from "macros.html" import players, video %}
{% call players(num_frames, rate) %}{% for path in paths %}{{ video(path, path.stem) }}{% endfor %}{% endcall %}"""
READ = """
const group = document.querySelector(".players"), at = (selector) => group.querySelector(selector);
const press = (key, target = group) => target.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const click = (selector) => at(selector).click();
setTimeout(() => {
  press(" ");  // they play from the start: stop
  %s
  const times = [...group.querySelectorAll("video")].map((video) => video.currentTime.toFixed(4));
  document.title = [at("output").value, at("input").value, at("button").textContent, ...times].join(" | ");
}, 500);
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        write_mp4(tmp_path / f"{name}.mp4", rng.integers(0, 256, (NUM_FRAMES, 16, 16, 3), dtype=np.uint8), RATE)
    template = html.make_environment("gpd.pages").from_string(TEMPLATE)
    paths = [tmp_path / f"{name}.mp4" for name in ("first", "second")]
    group = template.render(paths=paths, num_frames=NUM_FRAMES, rate=RATE)
    (tmp_path / "page.html").write_text(html.document("title", html.Markup(group)))
    return tmp_path / "page.html"


def state(page: Path, folder: Path, deeds: str) -> list[str]:
    """Words, bar, button and the time of each video after `deeds`."""
    dom = dump_dom(page, folder, script=READ % deeds)
    found = re.search("<title>(.*)</title>", dom)
    assert found
    return found[1].split(" | ")


@pytest.mark.parametrize(
    ("deeds", "frame"),
    [
        ('press("Home");', 1),
        ('press("Home"); press("ArrowRight"); press("ArrowRight");', 3),
        ('press("Home"); press("ArrowLeft");', 1),
        ('press("End"); press("ArrowRight");', 5),
        ('press("End"); click("[data-do=back]"); click("[data-do=back]"); click("[data-do=on]");', 4),
        ('at("input").value = 1; at("input").dispatchEvent(new Event("input"));', 2),
    ],
    ids=["first", "two on", "none before the first", "none after the last", "buttons", "bar"],
)
def test_all_clips_go_to_the_frame(page: Path, tmp_path: Path, deeds: str, frame: int) -> None:
    middle = f"{(frame - 0.5) / RATE:.4f}"
    assert state(page, tmp_path, deeds) == [f"{frame} / {NUM_FRAMES}", str(frame - 1), "▶", middle, middle]


def test_a_click_on_a_clip_plays_and_another_stops(page: Path, tmp_path: Path) -> None:
    assert state(page, tmp_path, 'press("Home"); click("video");')[2] == "❚❚"
    assert state(page, tmp_path, 'press("Home"); click("video"); click("video");')[2] == "▶"


def test_a_controls_own_keys_are_left_to_it(page: Path, tmp_path: Path) -> None:
    """The browser moves the bar by itself, and clicks a button that has the focus."""
    deeds = 'press("Home"); press("ArrowRight", at("input")); press(" ", at("[data-do=play]"));'
    assert state(page, tmp_path, deeds)[:3] == [f"1 / {NUM_FRAMES}", "0", "▶"]


def test_speed_is_that_of_all(page: Path, tmp_path: Path) -> None:
    deeds = """at("select").value = "0.25"; at("select").dispatchEvent(new Event("change"));
               document.body.dataset.rates = [...group.querySelectorAll("video")].map((video) => video.playbackRate);"""
    dom = dump_dom(page, tmp_path, script=READ % deeds)
    assert 'data-rates="0.25,0.25"' in dom


def test_controls_show_themselves_only_with_a_script(page: Path, tmp_path: Path) -> None:
    assert re.search('class="controls" hidden', page.read_text())
    assert re.search('class="controls">', dump_dom(page, tmp_path))
