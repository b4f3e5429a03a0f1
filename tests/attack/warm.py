"""What all commands of a campaign compute from the same words, computed once: it is no part of what is tried.

A process that is forked later has the imports, the values of the miniature's YAML files, the compiled templates of
pages and the drawn charts. It reads, checks and writes files as any other.
"""

import copy
import functools
import gc
import hashlib
import importlib
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.attack import miniature
from tests.attack.command import import_all
from tests.attack.miniature import Miniature

LATE = (
    "alembic.command",
    "av",
    "webdataset",
    "pygments.lexers",
    "gpd.planning",
    "gpd.distillation.objectives",
    "gpd.models.wan",
)
TEMPLATES = ("gpd.evaluation", "gpd.pages", "gpd.report")


def make(folder: Path) -> Miniature:
    """The miniature in `folder`, and this process as one to fork from."""
    import_all()
    from transformers import conversion_mapping

    for name in LATE:
        _import_with_parts(name)
    _compile_templates()
    conversion_mapping.get_checkpoint_conversion_mapping("umt5")  # of all models there are, at the first question
    _draw_once(folder / "drawn")
    made = miniature.make(folder / "miniature")
    yaml.load = functools.partial(_read_once, {}, yaml.load)
    for text in {path.read_text() for path in (folder / "miniature").rglob("*.yaml")}:
        _parse(text)
    gc.collect()
    gc.freeze()  # what a process never looks at again is not copied into its children
    return made


def _import_with_parts(name: str) -> None:
    package = importlib.import_module(name)
    for part in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{name}."):
        if name.startswith("gpd"):
            importlib.import_module(part.name)


def _compile_templates() -> None:
    from gpd.pages.html import make_environment

    for package in TEMPLATES:
        environment = make_environment(package)
        for name in environment.list_templates(extensions=["html"]):
            environment.get_template(name)


def _draw_once(folder: Path) -> None:
    """The library that draws has threads, which a fork would lack: drawings lie in a folder instead."""
    import vl_convert

    folder.mkdir(parents=True)
    draw = vl_convert.vegalite_to_svg

    def drawn(spec: Any) -> str:
        path = folder / hashlib.sha256(repr(spec).encode()).hexdigest()
        if not path.exists():
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text(draw(spec))
            partial.replace(path)
        return path.read_text()

    vl_convert.vegalite_to_svg = drawn


def _read_once(known: dict[tuple[str, Any], Any], read: Callable[..., Any], text: Any, Loader: Any) -> Any:  # noqa: N803
    if not isinstance(text, str):
        return read(text, Loader=Loader)
    if (text, Loader) not in known:
        known[text, Loader] = read(text, Loader=Loader)
    return copy.deepcopy(known[text, Loader])


def _parse(text: str) -> None:
    from gpd.documents import reading

    reading.parse_yaml(text)
