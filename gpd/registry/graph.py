"""The family tree of checkpoints as a drawing: the teacher on the left, the last students on the right."""

from dataclasses import dataclass

from gpd.registry.questions import Listed

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 62, 56, 16, 10  # of a box and around it, px


@dataclass(frozen=True)
class Box:
    """A checkpoint and the left upper corner of its box, px."""

    row: Listed
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """Boxes, and the curves (paths of SVG) from parents to children; width and height in px."""

    width: int
    height: int
    boxes: list[Box]
    curves: list[str]


def draw(rows: list[Listed], edges: list[tuple[str, str]]) -> Drawing:
    """The drawing of checkpoints and of the edges (parent, child) between their contents."""
    places = arrange({row.content: row.name or row.role for row in rows}, edges)
    boxes = {row.content: Box(row, *_corner(*places[row.content])) for row in rows}
    width, height = (1 + max((place[axis] for place in places.values()), default=0) for axis in (0, 1))
    curves = [_curve(boxes[parent], boxes[child]) for parent, child in edges]
    return Drawing(width * (WIDTH + GAP_X), height * (HEIGHT + GAP_Y) + MARGIN, list(boxes.values()), curves)


def arrange(names: dict[str, str], edges: list[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Content -> column and row.

    Columns are by the longest way from an ancestor, rows so that a child stands beside its parent if it can.
    """
    parents: dict[str, list[str]] = {content: [] for content in names}
    for parent, child in edges:
        parents[child].append(parent)
    columns = _columns(parents)
    places: dict[str, tuple[int, int]] = {}
    next_row = dict.fromkeys(columns.values(), 0)
    for content in sorted(names, key=lambda one: (columns[one], names[one], one)):
        beside = min((places[parent][1] for parent in parents[content] if parent in places), default=0)
        row = max(beside, next_row[columns[content]])
        places[content] = (columns[content], row)
        next_row[columns[content]] = row + 1
    return places


def _columns(parents: dict[str, list[str]]) -> dict[str, int]:
    """Raises each node beyond its parents until nothing moves; a circle stops after as many rounds as nodes."""
    columns = dict.fromkeys(parents, 0)
    for _ in range(len(parents)):
        raised = {one: max((columns[parent] + 1 for parent in parents[one]), default=0) for one in parents}
        if raised == columns:
            break
        columns = {one: min(column, len(parents) - 1) for one, column in raised.items()}
    return columns


def _corner(column: int, row: int) -> tuple[int, int]:
    return MARGIN + column * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y)


def _curve(parent: Box, child: Box) -> str:
    x1, y1, y2 = parent.x + WIDTH, parent.y + HEIGHT // 2, child.y + HEIGHT // 2
    middle = (x1 + child.x) // 2
    return f"M{x1} {y1} C{middle} {y1} {middle} {y2} {child.x} {y2}"
