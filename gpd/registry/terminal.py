"""The registry's answers as tables and trees for a terminal. Text of others is printed, never interpreted."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from gpd.registry.best import Best
from gpd.registry.describe import Comparison, Listed, Shown, setting
from gpd.registry.finding import SHORT
from gpd.registry.lineage import Edge, Lineage
from gpd.registry.people import Event
from gpd.registry.verify import Verified

WIDTH_OF_FILES = 160  # columns when the output is no terminal


def printable(value: Any) -> Text:
    """Text as it is, but for control characters (they could steer the terminal), which appear as escapes."""
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return Text("".join(char if char.isprintable() else repr(char)[1:-1] for char in text))


def short(content: str | None) -> str:
    """A hash as it is usually printed; nothing for none."""
    return (content or "")[:SHORT]


def size(num_bytes: int | None) -> str:
    """Bytes in the unit a person would take."""
    if num_bytes is None:
        return ""
    value, units = float(num_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def write(*things: Any) -> None:
    """Prints tables, trees and plain lines."""
    width = None if sys.stdout.isatty() else WIDTH_OF_FILES
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    for thing in things:
        console.print(printable(thing) if isinstance(thing, str) else thing, soft_wrap=isinstance(thing, str))


def make_table(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str | None = None) -> Table:
    """A table; columns whose name begins with > stand right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    return table


def best_table(found: Best) -> list[Any]:
    """The winner, or all that tie."""
    rows = [
        (
            short(winner.content),
            winner.name,
            winner.value,
            "" if winner.spread is None else f"± {winner.spread:.3g}",
            winner.num_samples,
            f"{winner.steps} {winner.solver} w={winner.guidance_scale:g}",
            winner.forwards,
            ", ".join(winner.paths),
        )
        for winner in found.winners
    ]
    better = {"lower": "lower is better", "higher": "higher is better", "one": "best is 1"}[found.direction]
    columns = ("checkpoint", "name", f">{found.metric}", "spread", ">samples", "sampled with", ">forwards", "where")
    lines: list[Any] = [make_table(columns, rows), f"protocol {short(found.protocol)}, {better}"]
    if len(found.winners) > 1:
        lines.append(f"a tie of {len(found.winners)}")
    if found.num_incomplete or found.num_not_finite:
        lines.append(f"left out: {found.num_incomplete} incomplete, {found.num_not_finite} not a finite number")
    return lines


def list_table(found: list[Listed], is_cut: bool) -> list[Any]:
    """Checkpoints, one a row."""
    rows = [
        (
            short(row.content),
            row.name,
            row.role,
            row.horizon,
            row.sampling_steps,
            row.forwards,
            size(row.size_bytes),
            ", ".join(row.aliases),
            ", ".join(row.paths),
        )
        for row in found
    ]
    columns = ("checkpoint", "name", "role", ">horizon", ">steps", ">forwards", ">size", "aliases", "where")
    if not found:
        return ["no checkpoints; `gpd registry sync` records those of a workspace"]
    return [make_table(columns, rows), *(["there are more: --limit"] if is_cut else [])]


def show_tables(shown: Shown) -> list[Any]:
    """One artifact in full."""
    title = f"{shown.kind} {shown.name or ''} {shown.content}"
    if not shown.is_known:
        return [title, "known only because others refer to it; its manifest was never seen here"]
    facts = [
        ("aliases", ", ".join(shown.aliases)),
        ("base model", _base(shown)),
        ("size", f"{size(shown.size_bytes)} in {shown.num_files} files"),
        *((key, shown.checkpoint[key]) for key in ("horizon", "sampling_steps", "forwards") if shown.checkpoint),
        ("forwards with all ancestors", shown.total_forwards),
        *(("where", f"{place['path']}  {_dvc(place)}") for place in shown.locations),
        *((parent["relation"], _named(parent)) for parent in shown.parents),
        *(("went into", _named(child)) for child in shown.children),
    ]
    tables: list[Any] = [title, make_table(("", ""), [fact for fact in facts if fact[1] not in (None, "")])]
    scores = [
        (
            row.metric,
            row.value,
            row.spread,
            row.num_samples,
            setting(row),
            short(row.protocol),
            _remark(row.is_complete),
        )
        for row in shown.scores
    ]
    if scores:
        columns = ("metric", ">value", ">spread", ">samples", "sampled with", "protocol", "")
        tables += ["", make_table(columns, scores)]
    tables += ["", make_table(("param", "value"), shown.params.items())] if shown.params else []
    return [*tables, *(["", history_table(shown.events)] if shown.events else [])]


def _base(shown: Shown) -> str | None:
    if shown.base is None:
        return None
    published = [str(shown.base[key]) for key in ("repository", "revision") if shown.base[key]]
    return " ".join([str(shown.base["name"]), short(shown.base["content"]), *published])


def _dvc(place: dict[str, Any]) -> str:
    return f"(DVC {place['dvc_md5']})" if place["dvc_md5"] else ""


def _named(other: dict[str, Any]) -> str:
    return f"{short(other['content'])} {other['name'] or other['kind']}"


def _remark(is_complete: bool) -> str:
    return "" if is_complete else "incomplete"


def lineage_tree(found: Lineage) -> list[Any]:
    """A tree. What has been shown once is shown without its branches the next time; a circle is called so."""
    cost = f"forwards of all together: {found.forwards:,}"
    notes = ["the recorded lineage runs in a circle: manifests contradict each other"] if found.has_cycle else []
    notes += ["there is more: --limit"] if found.is_cut else []
    return [_grow(found), cost, *notes]


def _grow(found: Lineage) -> Tree:
    """Depth first without recursion: a chain may be longer than Python's stack."""
    below: dict[str, list[Edge]] = {}
    for edge in found.edges:
        below.setdefault(edge.child if found.direction == "up" else edge.parent, []).append(edge)
    tree = Tree("")
    waiting: list[tuple[Tree, str, str | None]] = [(tree, found.root, None)]
    grown: set[str] = set()
    while waiting:
        branch, content, relation = waiting.pop()
        is_repeated = content in grown and content in below
        added = branch.add(_node_line(found, content, relation, is_repeated))
        if content not in grown:
            grown.add(content)
            others = [
                (edge.parent if found.direction == "up" else edge.child, edge.relation)
                for edge in below.get(content, [])
            ]
            waiting += [(added, other, how) for other, how in reversed(others)]
    return tree.children[0]


def _node_line(found: Lineage, content: str, relation: str | None, is_repeated: bool) -> Text:
    node = found.nodes[content]
    words = [f"{relation}:" if relation else "", short(content), node.name or node.kind]
    words += [f"({node.sampling_steps} steps, {node.forwards:,} forwards)"] if node.forwards is not None else []
    words += [] if node.is_known else ["(never seen here)"]
    words += ["(shown above)"] if is_repeated else []
    return printable(" ".join(word for word in words if word))


def compare_tables(found: Comparison) -> list[Any]:
    """Two artifacts side by side; a star where they differ."""
    columns = ("", "", short(found.a), short(found.b))
    rows: list[tuple[Any, ...]] = []
    for title in ("metrics", "params", "data", "code"):
        part: dict[str, tuple[Any, Any]] = getattr(found, title)
        rows.append((title, "", "", ""))
        for key, (one, other) in part.items():
            one, other = (short(value) if title == "data" else value for value in (one, other))
            rows.append((f"  {key}", "" if one == other else "*", one, other))
    return [make_table(columns, rows)]


def history_table(events: list[Event]) -> Table:
    """What happened, oldest first."""
    rows = [
        (event.at.strftime("%Y-%m-%d %H:%M"), event.what, event.who, short(event.content), event.text)
        for event in events
    ]
    return make_table(("when (UTC)", "what", "who", "artifact", ""), rows)


def verify_lines(found: Verified) -> list[str]:
    """One location, with a line for each file that is wrong."""
    return [f"{found.state:8} {short(found.content)} {found.path}", *(f"         {line}" for line in found.wrong)]
