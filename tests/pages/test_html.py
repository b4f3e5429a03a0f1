from html.parser import HTMLParser
from pathlib import Path

import pytest

from gpd.pages import html

HOSTILE = "<script>alert(\"x\")</script> & 'quoted'"


class Reader(HTMLParser):
    """Tags, attributes and texts of a page; fails on a tag that is closed out of order."""

    VOID = frozenset({"meta", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_texts_and_attributes_are_escaped() -> None:
    page = Reader(html.element("p", HOSTILE, html.element("b", HOSTILE), class_=HOSTILE))
    assert page.tags == [("p", {"class": HOSTILE}), ("b", {})]
    assert "".join(page.texts) == 2 * HOSTILE


def test_every_piece_escapes_its_texts() -> None:
    pieces = [
        html.paragraph(HOSTILE, "soft"),
        html.section(HOSTILE, HOSTILE),
        html.table([HOSTILE], [[HOSTILE]], HOSTILE),
        html.document(HOSTILE, HOSTILE),
    ]
    for piece in pieces:
        assert HOSTILE in Reader(piece).texts
        assert "<script>alert" not in piece


def test_escaped_text_and_pieces_are_not_escaped_again() -> None:
    assert html.table(["a"], [[html.escape("<")]]).count("&lt;") == 1
    assert "<p>x</p>" in html.section("t", html.paragraph("x"))


def test_table_marks_its_first_column_as_heads() -> None:
    page = Reader(html.table(["name", "value"], [["a", "1"], ["b", "2"]]))
    assert [attributes.get("scope") for tag, attributes in page.tags if tag == "th"] == ["col", "col", "row", "row"]


def test_video_is_inside_the_page(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    template = html.make_environment("gpd.pages").from_string(
        '{% from "macros.html" import video %}{{ video(path, label) }}'
    )
    attributes = dict(Reader(template.render(path=tmp_path / "clip.mp4", label=HOSTILE)).tags[0][1])
    assert attributes["title"] == HOSTILE
    assert attributes["src"] == "data:video/mp4;base64,Y2xpcA=="
    assert {"loop", "muted", "autoplay", "playsinline"} <= attributes.keys()


def test_document_asks_for_nothing_from_outside() -> None:
    page = html.document(HOSTILE, html.section("Title", html.paragraph(HOSTILE)))
    reader = Reader(page)
    assert "http" not in page
    for tag, attributes in reader.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:"), tag


@pytest.mark.parametrize("rule", ["prefers-color-scheme: dark", "max-width: 600px"])
def test_style_knows_dark_rooms_and_phones(rule: str) -> None:
    assert rule in html.document("title")
