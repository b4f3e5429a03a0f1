"""The family tree of checkpoints as an SVG: from teacher on the left to the last students on the right."""

from dataclasses import dataclass
from html import escape

from gpd.registry.finding import SHORT

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 62, 56, 16, 10


@dataclass(frozen=True)
class Node:
    """A checkpoint to draw."""

    content: str
    name: str
    role: str
    aliases: list[str]


@dataclass(frozen=True)
class Arranged:
    """Nodes with their column and row, and the edges (parent, child) between them."""

    places: dict[str, tuple[int, int]]
    nodes: dict[str, Node]
    edges: list[tuple[str, str]]


def arrange(nodes: list[Node], edges: list[tuple[str, str]]) -> Arranged:
    """Columns by the longest way from an ancestor, rows so that a child stands beside its parent where it can."""
    known = {node.content: node for node in nodes}
    parents: dict[str, list[str]] = {content: [] for content in known}
    for parent, child in edges:
        parents[child].append(parent)
    columns = _columns(parents)
    places: dict[str, tuple[int, int]] = {}
    next_row: dict[int, int] = {}
    for content in sorted(known, key=lambda one: (columns[one], known[one].name, one)):
        beside = min((places[parent][1] for parent in parents[content] if parent in places), default=0)
        row = max(beside, next_row.get(columns[content], 0))
        places[content] = (columns[content], row)
        next_row[columns[content]] = row + 1
    return Arranged(places, known, edges)


def _columns(parents: dict[str, list[str]]) -> dict[str, int]:
    """Raises each node beyond its parents until nothing moves; a circle stops after as many rounds as nodes."""
    columns = dict.fromkeys(parents, 0)
    for _ in range(len(parents)):
        raised = {one: max((columns[parent] + 1 for parent in parents[one]), default=0) for one in parents}
        if raised == columns:
            break
        columns = {one: min(column, len(parents) - 1) for one, column in raised.items()}
    return columns


def draw(arranged: Arranged) -> str:
    """The SVG element. Boxes carry `data-content`, the line for a metric is filled in by the page's script."""
    width = (max((column for column, _ in arranged.places.values()), default=0) + 1) * (BOX_WIDTH + GAP_X)
    height = (max((row for _, row in arranged.places.values()), default=0) + 1) * (BOX_HEIGHT + GAP_Y)
    parts = [f'<svg id="graph" width="{width}" height="{height + MARGIN}" role="img" aria-label="lineage">']
    parts += [_edge(arranged.places[parent], arranged.places[child]) for parent, child in arranged.edges]
    parts += [_box(node, arranged.places[content]) for content, node in arranged.nodes.items()]
    return "\n".join([*parts, "</svg>"])


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return MARGIN + place[0] * (BOX_WIDTH + GAP_X), MARGIN + place[1] * (BOX_HEIGHT + GAP_Y)


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = _corner(start)
    x2, y2 = _corner(end)
    x1, y1, y2 = x1 + BOX_WIDTH, y1 + BOX_HEIGHT // 2, y2 + BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    return f'<path class="edge" d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _box(node: Node, place: tuple[int, int]) -> str:
    x, y = _corner(place)
    name = node.name if len(node.name) <= 16 else f"{node.name[:15]}…"
    star = f'<tspan class="alias"> {escape(", ".join(node.aliases))}</tspan>' if node.aliases else ""
    return (
        f'<g class="node {escape(node.role)}" data-content="{escape(node.content)}" tabindex="0">'
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
        f'<text x="{x + 10}" y="{y + 20}" class="name">{escape(name)}{star}</text>'
        f'<text x="{x + 10}" y="{y + 36}" class="hash">{escape(node.content[:SHORT])}</text>'
        f'<text x="{x + 10}" y="{y + 53}" class="metric"></text></g>'
    )
