"""Pieces of HTML. Every text that comes from outside passes through `escape` here, nowhere else."""

import base64
import html
from importlib import resources
from pathlib import Path


def escape(text: object) -> str:
    """Text for between tags or for an attribute in double quotes."""
    return html.escape(str(text), quote=True)


def element(tag: str, *children: str, **attributes: object) -> str:
    """<tag attributes>children</tag>. Children are HTML already; attribute values are escaped.

    A trailing underscore is dropped (`class_`), others become dashes; True is a bare attribute, None and False none.
    """
    words = [tag]
    for name, value in attributes.items():
        key = name.rstrip("_").replace("_", "-")
        if value is True:
            words.append(key)
        elif value is not None and value is not False:
            words.append(f'{key}="{escape(value)}"')
    return f"<{' '.join(words)}>{''.join(children)}</{tag}>"


def paragraph(text: str, class_: str | None = None) -> str:
    """A paragraph of plain text."""
    return element("p", escape(text), class_=class_)


def section(title: str, *children: str) -> str:
    """A section under a heading."""
    return element("section", element("h2", escape(title)), *children)


def table(head: list[str], rows: list[list[str]], caption: str | None = None) -> str:
    """A table that scrolls sideways where it is wider than the screen; its first column stays. Cells are HTML."""
    header = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    parts = [element("thead", header), element("tbody", *body)]
    if caption:
        parts.insert(0, element("caption", escape(caption)))
    return element("div", element("table", *parts), class_="scroll", tabindex=0)


def players(*children: str, num_frames: int, frames_per_second: float) -> str:
    """Children whose videos run in step, with one set of controls: buttons, a bar, keys (page.js).

    Without a script the controls stay hidden and the videos play as they are.

    Args:
        num_frames: of each video; all have as many.
    """
    speeds = {"1": "1 ×", "0.5": "½ ×", "0.25": "¼ ×"}
    controls = element(
        "div",
        element("button", "▶", type="button", data_do="play", aria_label="Play or stop", title="Play or stop (space)"),
        element("button", "‹", type="button", data_do="back", aria_label="One frame back", title="One frame back (←)"),
        element("button", "›", type="button", data_do="on", aria_label="One frame on", title="One frame on (→)"),
        f'<input type="range" min="0" max="{num_frames - 1}" value="0" step="1" aria-label="Frame">',
        element("output", f"1 / {num_frames}"),
        element("select", *(element("option", w, value=v) for v, w in speeds.items()), aria_label="Speed"),
        class_="controls",
        hidden=True,
    )
    return element(
        "div",
        controls,
        *children,
        class_="players",
        tabindex=0,
        role="group",
        aria_label="Clips in step: space plays and stops, the arrow keys go frame by frame",
        data_frames=num_frames,
        data_rate=f"{frames_per_second:g}",
    )


def video(path: Path, label: str) -> str:
    """An mp4 inside the page that plays silently for ever."""
    data = base64.b64encode(path.read_bytes()).decode()
    return element(
        "video",
        src=f"data:video/mp4;base64,{data}",
        loop=True,
        muted=True,
        autoplay=True,
        playsinline=True,
        title=label,
        aria_label=label,
    )


def document(title: str, *body: str) -> str:
    """A whole page with its style and script inside."""
    style, script = _asset("page.css"), _asset("page.js")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        # an empty icon: browsers ask the network for one otherwise
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{style}</style>"
    )
    content = element("body", element("main", *body), element("script", script))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{content}</html>\n'


def _asset(name: str) -> str:
    return (resources.files("gpd.pages") / name).read_text(encoding="utf-8")
