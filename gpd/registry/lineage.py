"""What an artifact descends from, and what descends from it: one recursive query."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, select
from sqlmodel import Session

from gpd.registry import tables as t

Direction = Literal["up", "down"]
MOST_EDGES = 5000
ORDER = ("previous", "teacher")  # of the relations below one artifact; the others follow by name


@dataclass(frozen=True)
class Node:
    """An artifact in a lineage. `is_known` is false where it was never seen, only referred to."""

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

    `forwards` is what all its checkpoints cost together, each counted once; `is_cut` says that there is more than was
    asked for; `has_cycle` that the manifests contradict each other.
    """

    root: str
    direction: Direction
    nodes: dict[str, Node]
    edges: list[Edge]
    forwards: int
    is_cut: bool
    has_cycle: bool


def lineage(*, session: Session, content: str, direction: Direction = "up", most_edges: int = MOST_EDGES) -> Lineage:
    """The lineage of an artifact by its full content hash. Ends also where the recorded lineage runs in a circle."""
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
    for some in _chunks(sorted(contents), 500):
        for row in session.connection().execute(statement.where(artifact.c.content.in_(some))):
            nodes[row[0]] = Node(row[0], row[1], row[2], row[3] is not None, row[4], row[5])
    return nodes


def _chunks(values: list[str], size: int) -> list[list[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _has_cycle(edges: list[Edge]) -> bool:
    """Takes away what has no children left, again and again; a circle is what remains."""
    parents: dict[str, set[str]] = {}
    num_children: dict[str, int] = {}
    for child, parent in {(edge.child, edge.parent) for edge in edges}:
        parents.setdefault(child, set()).add(parent)
        num_children[parent] = num_children.get(parent, 0) + 1
        num_children.setdefault(child, 0)
    free, num_taken = [content for content, number in num_children.items() if number == 0], 0
    while free:
        num_taken += 1
        for parent in parents.get(free.pop(), ()):
            num_children[parent] -= 1
            if num_children[parent] == 0:
                free.append(parent)
    return num_taken < len(num_children)
