"""The code that each DVC stage depends on: the import closure of its command.

DVC follows no import, so a stage whose `deps` miss a module would keep a stale checkpoint in silence. The test compares
dvc.yaml with the closure; `python -m tests.dvc_deps` writes it there.
"""

from pathlib import Path

import grimp
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
DVC_FILE = ROOT / "dvc.yaml"


def code_of(command: str) -> list[str]:
    """Files of `gpd` that `gpd.commands.<command>` imports, directly or not, itself and package files included."""
    graph = grimp.build_graph("gpd", cache_dir=None)
    module = f"gpd.commands.{command}"
    modules = {module, *graph.find_upstream_modules(module)}
    packages = {name.rpartition(".")[0] for name in modules if "." in name}
    return sorted({_file(name) for name in modules | packages})


def _file(module: str) -> str:
    path = Path(*module.split("."))
    return str(path / "__init__.py") if (ROOT / path).is_dir() else f"{path}.py"


def stages() -> dict[str, dict[str, object]]:
    """The stages of dvc.yaml, `foreach` opened."""
    raw = YAML(typ="safe").load(DVC_FILE)["stages"]
    return {name: stage.get("do", stage) for name, stage in raw.items()}


def main() -> None:
    """Writes the closure into dvc.yaml: data first, then code."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(DVC_FILE)
    for name, entry in document["stages"].items():
        stage = entry.get("do", entry)
        data = [dep for dep in stage["deps"] if not dep.endswith(".py")]
        stage["deps"] = data + code_of(name)
    yaml.dump(document, DVC_FILE)


if __name__ == "__main__":
    main()
