"""What an artifact descends from, and what descends from it: one recursive query."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from sqlalchemy import Select, select
from sqlmodel import Session

from gpd.registry import tables as t
from gpd.registry.finding import find_artifact

Direction = Literal["up", "down"]
MOST_EDGES = 5000
ORDER = ("previous", "teacher")  # of the relations below one artifact; the others follow by name


@dataclass(frozen=True)
class Node:
    """An artifact in a lineage. `is_known` is false if it was never seen, only referred to."""

    content: str
    kind: str
    name: str | None
    is_known: bool
    forwards: int | None
    sampling_steps: int | None


@dataclass(frozen=True)
class Edge:
    """`parent` went into `child` as its `relation`."""

    child: str
    relation: str
    parent: str


@dataclass(frozen=True)
class Lineage:
    """Everything reachable from `root`: up to teacher and data, or down to descendants.

    Attributes:
        forwards: of all its checkpoints together, each counted once.
        is_cut: there are more edges than were requested.
        has_cycle: the manifests contradict each other.
    """

    root: str
    direction: Direction
    nodes: dict[str, Node]
    edges: list[Edge]
    forwards: int
    is_cut: bool
    has_cycle: bool


def lineage(*, session: Session, key: str, direction: Direction = "up", most_edges: int = MOST_EDGES) -> Lineage:
    """The lineage of an artifact (alias, hash or name). Ends also if the recorded lineage runs in a circle."""
    content = find_artifact(key=key, session=session).content
    found = session.connection().execute(lineage_statement(content, direction, most_edges + 1)).all()
    edges = sorted({Edge(*row) for row in found[:most_edges]}, key=_rank)
    contents = {content, *(edge.child for edge in edges), *(edge.parent for edge in edges)}
    nodes = _nodes(contents, session)
    forwards = sum(node.forwards or 0 for node in nodes.values())
    return Lineage(content, direction, nodes, edges, forwards, len(found) > most_edges, _has_cycle(edges))


def lineage_statement(content: str, direction: Direction, limit: int) -> Select[Any]:
    """All edges on the way up (or down). UNION drops an edge met before, so a circle comes to an end."""
    edge = t.table_of(t.Lineage)
    here, there = ("child", "parent") if direction == "up" else ("parent", "child")
    columns = (edge.c.child, edge.c.relation, edge.c.parent)
    walk = select(*columns).where(edge.c[here] == content).cte("walk", recursive=True)
    walk = walk.union(select(*columns).join(walk, edge.c[here] == walk.c[there]))
    return select(walk.c.child, walk.c.relation, walk.c.parent).limit(limit)


def _rank(edge: Edge) -> tuple[Any, ...]:
    place = ORDER.index(edge.relation) if edge.relation in ORDER else len(ORDER)
    return (place, edge.relation, edge.child, edge.parent)


def _nodes(contents: set[str], session: Session) -> dict[str, Node]:
    artifact, checkpoint = t.table_of(t.Artifact), t.table_of(t.Checkpoint)
    columns = (artifact.c.content, artifact.c.kind, artifact.c.name, artifact.c.manifest_hash)
    joined = artifact.outerjoin(checkpoint, checkpoint.c.content == artifact.c.content)
    statement = select(*columns, checkpoint.c.forwards, checkpoint.c.sampling_steps).select_from(joined)
    nodes = {}
    ordered = sorted(contents)
    for start in range(0, len(ordered), 500):  # databases limit the number of values in a statement
        some = artifact.c.content.in_(ordered[start : start + 500])
        for content, kind, name, manifest_hash, *numbers in session.connection().execute(statement.where(some)):
            nodes[content] = Node(content, kind, name, manifest_hash is not None, *numbers)
    return nodes


def _has_cycle(edges: list[Edge]) -> bool:
    graph: TopologicalSorter[str] = TopologicalSorter()
    for edge in edges:
        graph.add(edge.child, edge.parent)
    try:
        graph.prepare()
    except CycleError:
        return True
    return False
