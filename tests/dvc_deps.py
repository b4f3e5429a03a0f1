"""The code that each DVC stage depends on: the folders and modules of gpd that the imports of its page reach.

DVC follows no import, so a stage whose `deps` miss a folder would keep a stale checkpoint in silence.
"""

from functools import cache
from pathlib import Path

import grimp
import yaml

ROOT = Path(__file__).parents[1]
# Bars and lines on the terminal change no result.
CHANGE_NOTHING = {"gpd/__init__.py", "gpd/progress.py"}


# Packages that import whatever module lies in them: a new metric or objective is one file.
OPEN = ("gpd.evaluation.metrics", "gpd.distillation.objectives")


@cache
def _graph() -> grimp.ImportGraph:
    graph = grimp.build_graph("gpd", cache_dir=None)
    for package in OPEN:
        for module in graph.find_children(package):
            graph.add_import(importer=package, imported=module)
    return graph


def code_of(stage: str) -> set[str]:
    """Folders of `gpd`, and modules beside them, that the stage's page imports from, directly or not."""
    (page,) = (name for name in _graph().modules if name.count(".") == 2 and name.endswith(f".{stage}"))
    modules = {page, *_graph().find_upstream_modules(page)}
    return {_place(name) for name in modules if name != "gpd"} - CHANGE_NOTHING


def _place(module: str) -> str:
    """gpd.data.clips -> gpd/data; gpd.params -> gpd/params.py."""
    path = Path(*module.split(".")[:2])
    return str(path) if (ROOT / path).is_dir() else f"{path}.py"


def stages() -> dict[str, dict[str, object]]:
    """The stages of dvc.yaml, `foreach` opened."""
    raw = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in raw.items()}
