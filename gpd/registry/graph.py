"""The family tree of checkpoints in columns and rows: the teacher on the left, the last students on the right."""


def arrange(names: dict[str, str], edges: list[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Content -> column and row, of checkpoints by name and edges (parent, child).

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
