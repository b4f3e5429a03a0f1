"""The DVC stages of a work tree: what each waits for, which of them have something to do."""

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path

from flows import rwlock
from flows.outputs import params_in, stages_in
from flows.process import environment, read_command
from gpd.stages import makers, stage_keys

Needs = dict[str, set[str]]

HINT = re.compile(  # DVC's, to people
    r"^(To track the changes|To enable auto|Use `dvc push`|\s+git add |\s+dvc config )"
)


def needs(tree: Path) -> Needs:
    """Stage -> the stages whose outputs it reads."""
    stages = stages_in(tree)
    return {name: {maker for dep in stage.deps for maker in makers(dep, stages)} for name, stage in stages.items()}


def outdated(tree: Path, graph: Needs) -> set[str]:
    """The stages of a graph that have something to do, as DVC sees it, and all that come after them.

    One question about all of them: `dvc repro` takes seconds to find that a single stage has nothing to do.
    """
    rwlock.mend(tree)
    words = ["dvc", "--wait-for-lock", "status", "--json"]
    changed = set(json.loads(read_command(words, cwd=tree, env=dvc_environment(tree))))
    found: set[str] = set()
    for name in order(graph):
        if name in changed or not found.isdisjoint(graph[name]):
            found.add(name)
    return found


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
    stages = {name: stage for name, stage in stages_in(tree).items() if name in graph}
    return stage_keys(stages, params_in(tree), _tracked(tree).get)


def _tracked(tree: Path) -> dict[str, str]:
    """Path -> git's hash, of every tracked file and folder at the commit of this tree."""
    lines = read_command(["git", "ls-tree", "-r", "-t", "HEAD"], cwd=tree).splitlines()
    return {path: entry.split()[2] for entry, _, path in (line.partition("\t") for line in lines)}
