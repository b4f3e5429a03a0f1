"""What an artifact descends from, and what descends from it: one recursive query."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sqlalchemy import Select, select
from sqlmodel import Session, col

from gpd.registry import tables as t
from gpd.registry.finding import find_artifact

MOST_EDGES = 5000
AT_ONCE = 500  # databases limit the number of values in a statement
ORDER = {"previous": 0, "teacher": 1}  # of the relations below one artifact; the others follow by name


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
    direction: str
    nodes: dict[str, Node]
    edges: list[Edge]
    forwards: int
    is_cut: bool
    has_cycle: bool


def lineage(*, session: Session, key: str, down: bool = False, limit: int = MOST_EDGES) -> Lineage:
    """The lineage of an artifact (alias, hash or name) of at most `limit` edges; ends also if it runs in a circle."""
    content, direction = find_artifact(key=key, session=session).content, "down" if down else "up"
    found = session.connection().execute(lineage_statement(content, direction, limit + 1)).all()
    edges = sorted({Edge(*row) for row in found[:limit]}, key=_rank)
    nodes = _nodes({content, *(end for edge in edges for end in (edge.child, edge.parent))}, session)
    forwards = sum(node.forwards or 0 for node in nodes.values())
    return Lineage(content, direction, nodes, edges, forwards, len(found) > limit, _has_cycle(edges))


def lineage_statement(content: str, direction: str, limit: int) -> Select[Any]:
    """All edges on the way up (or down). UNION drops an edge met before, so a circle comes to an end."""
    edge = t.table_of(t.Lineage)
    here, there = ("child", "parent") if direction == "up" else ("parent", "child")
    columns = (edge.c.child, edge.c.relation, edge.c.parent)
    walk = select(*columns).where(edge.c[here] == content).cte("walk", recursive=True)
    walk = walk.union(select(*columns).join(walk, edge.c[here] == walk.c[there]))
    return select(walk.c.child, walk.c.relation, walk.c.parent).limit(limit)


def _rank(edge: Edge) -> tuple[Any, ...]:
    return (ORDER.get(edge.relation, len(ORDER)), edge.relation, edge.child, edge.parent)


def _nodes(contents: set[str], session: Session) -> dict[str, Node]:
    a, c = t.Artifact, t.Checkpoint
    is_known = col(a.manifest_hash).is_not(None)
    columns = (col(a.content), col(a.kind), col(a.name), is_known, col(c.forwards), col(c.sampling_steps))
    known = select(*columns).select_from(a).outerjoin(c, col(c.content) == col(a.content))
    ordered = sorted(contents)
    parts = (ordered[start : start + AT_ONCE] for start in range(0, len(ordered), AT_ONCE))
    found = (row for part in parts for row in session.connection().execute(known.where(col(a.content).in_(part))))
    return {row[0]: Node(*row) for row in found}


def _has_cycle(edges: list[Edge]) -> bool:
    graph: TopologicalSorter[str] = TopologicalSorter()
    for edge in edges:
        graph.add(edge.child, edge.parent)
    try:
        graph.prepare()
    except CycleError:
        return True
    return False
