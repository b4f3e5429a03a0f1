"""The DVC stages of a work tree: their names and what each waits for, from DVC's command line."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

from flows.process import environment, read_command
from gpd.documents.reading import parse_yaml
from gpd.stages import load_stages, stage_keys

Needs = dict[str, set[str]]

_EDGE = re.compile(r'^"([^"]+)"\s*->\s*"([^"]+)";?$')
_NODE = re.compile(r'^"([^"]+)";?$')
HINT = re.compile(
    r"^(To track the changes|To enable auto|Use `dvc push`|\s+git add |\s+dvc config )"
)  # DVC's, to people


def parse_dot(text: str) -> Needs:
    """The graph that `dvc dag --dot` prints: stage -> the stages whose outputs it reads."""
    needs: Needs = {}
    for line in map(str.strip, text.splitlines()):
        if edge := _EDGE.match(line):
            before, after = edge.groups()
            needs.setdefault(before, set())
            needs.setdefault(after, set()).add(before)
        elif node := _NODE.match(line):
            needs.setdefault(node.group(1), set())
    return needs


def needs(tree: Path) -> Needs:
    """Stage -> the stages whose outputs it reads, as DVC sees them in this tree."""
    return parse_dot(read_command(["dvc", "dag", "--dot"], cwd=tree, env=dvc_environment(tree)))


def stage_names(tree: Path) -> list[str]:
    """The names of all stages, in the order of dvc.yaml and params.yaml."""
    listed = read_command(["dvc", "stage", "list", "--name-only"], cwd=tree, env=dvc_environment(tree))
    return listed.split()


def order(graph: Needs) -> list[str]:
    """The stages, each after those that it needs.

    Raises:
        ValueError: some wait for each other.
    """
    return list(TopologicalSorter(graph).static_order())


def without(graph: Needs, given: frozenset[str]) -> Needs:
    """The graph without stages whose outputs are there already: nothing waits for them."""
    return {name: above - given for name, above in graph.items() if name not in given}


def with_needs(graph: Needs, wanted: set[str]) -> set[str]:
    """The wanted stages and all that they wait for."""
    found: set[str] = set()
    unseen = list(wanted)
    while unseen:
        name = unseen.pop()
        if name not in graph:
            raise ValueError(f"no DVC stage {name!r}; there are {', '.join(sorted(graph))}")
        if name not in found:
            found.add(name)
            unseen.extend(graph[name])
    return found


def dvc_environment(tree: Path, **extra: str) -> dict[str, str]:
    """The environment of a DVC command: no telemetry, our own commands first on PATH."""
    return environment(DVC_NO_ANALYTICS="1", DO_NOT_TRACK="1", **extra)


def content_keys(tree: Path, graph: Needs) -> dict[str, str]:
    """Stage -> a hash of all that determines what it makes: equal keys mean equal work (gpd/stages.py).

    Of its settings, the tracked files and folders it depends on, and the keys of the stages before it.
    Code and data outside git are not in it: two trees may share a key and differ; they wait for each other.
    """
    params = parse_yaml((tree / "params.yaml").read_text(encoding="utf-8"))
    stages = {name: stage for name, stage in load_stages(tree, params).items() if name in graph}
    return stage_keys(stages, params, _tracked(tree).get)


def _tracked(tree: Path) -> dict[str, str]:
    """Path -> git's hash, of every tracked file and folder at the commit of this tree."""
    lines = read_command(["git", "ls-tree", "-r", "-t", "HEAD"], cwd=tree).splitlines()
    return {path: entry.split()[2] for entry, _, path in (line.partition("\t") for line in lines)}
