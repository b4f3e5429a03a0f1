"""Pages by Jinja2. Every text is escaped by the template engine, unless it is Markup: that is HTML already."""

import base64
import functools
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

__all__ = ["Markup", "document", "element", "escape", "paragraph", "render", "section", "table", "video_source"]


@functools.cache
def make_environment(package: str) -> jinja2.Environment:
    """The templates of a package, and this package's: the shell of a page (page.html) and its pieces (macros.html)."""
    loaders = [jinja2.PackageLoader(name) for name in (package, "gpd.pages")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {name: _asset(f"page.{name}") for name in ("css", "js")}
    environment.filters |= {"video_source": video_source}
    return environment


def render(package: str, template: str, **values: Any) -> Markup:
    """A template of `package` filled in."""
    return Markup(make_environment(package).get_template(template).render(**values))


def document(title: str, *body: str) -> Markup:
    """A whole page with its style and script inside."""
    return render("gpd.pages", "page.html", title=title, body=body)


def paragraph(text: str, class_: str | None = None) -> Markup:
    """A paragraph."""
    return element("p", text, class_=class_)


def element(tag: str, *children: str, class_: str | None = None) -> Markup:
    """<tag class="...">children</tag>."""
    return _piece("element", tag, children, class_)


def section(title: str, *children: str) -> Markup:
    """A section under a heading."""
    return _piece("section", title, children)


def table(head: list[str], rows: list[list[str]], caption: str | None = None) -> Markup:
    """A table that scrolls sideways if it is wider than the screen; its first column stays."""
    return _piece("table", head, rows, caption)


def video_source(path: Path) -> str:
    """An mp4 as an address that carries it."""
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _piece(name: str, *values: Any) -> Markup:
    macro = getattr(make_environment("gpd.pages").get_template("macros.html").module, name)
    return Markup(macro(*values))


def _asset(name: str) -> Markup:
    return Markup((resources.files("gpd.pages") / name).read_text(encoding="utf-8"))
