"""A page on a narrow screen, in a real browser: wide things scroll inside their boxes, the page does not."""

import re
from pathlib import Path

from gpd.pages import html
from gpd.pages.chart import Series, line_chart
from gpd.pages.dots import Dot, dot_chart
from tests.browser import dump_dom

WIDTH = 400
NAME = "a subject of a rather long name"
FRAME = '<body><iframe style="width: {width}px; height: 600px; border: 0" srcdoc="{page}"></iframe></body>'
READ = """
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument;
  document.title = [page.documentElement, page.querySelector(".scroll")].map((part) => part.scrollWidth).join(" ");
});
"""


def test_page_is_no_wider_than_a_phone(tmp_path: Path) -> None:
    series = [Series(f"{NAME} {n}", [(n, 1.0), (n + 1, 2.0)], n) for n in range(6)]
    charts = [line_chart("Lines", "x", "y", series), dot_chart("Dots", "x", [Dot(NAME, 1.0, 0.5, 0)])]
    page = html.document(
        "t",
        html.section("Charts", html.element("div", *charts, class_="charts")),
        html.table(["wide"] * 30, [["figure"] * 30]),
    )
    (tmp_path / "frame.html").write_text(FRAME.format(width=WIDTH, page=html.escape(str(page))))
    found = re.search("<title>(.*)</title>", dump_dom(tmp_path / "frame.html", tmp_path, script=READ))
    assert found
    page_px, table_px = map(int, found[1].split())
    assert page_px <= WIDTH < table_px
