"""Answers as JSON, or as tables and trees for a terminal: one printer, which reads the fields of an answer.

Text of others is printed, never interpreted.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import is_dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text
from rich.tree import Tree
from sqlmodel import SQLModel

from gpd.registry.answers import shown_fields
from gpd.registry.finding import SHORT
from gpd.registry.lineage import Lineage, Node

WIDTH_OF_FILES = 160  # columns if the output is no terminal


def print_answer(answer: Any, as_json: bool, *lines: str) -> None:
    """Prints a row, a list of rows or a lineage: as JSON, in these lines if there are any, else as tables."""
    if isinstance(answer, list) and getattr(answer, "is_cut", False):
        print("gpd: there are more: --limit", file=sys.stderr)
    for note in (getattr(answer, "note", None), getattr(answer, "warning", None)):
        if note:
            print(f"gpd: {note}", file=sys.stderr)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=2, default=_plain))
    elif lines:
        write(*lines)
    elif isinstance(answer, Lineage):
        write(*lineage_tree(answer))
    elif isinstance(answer, list):
        write(rows_table(answer, {}) if answer else "none")
    else:
        write(*facts_tables(answer))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, SQLModel):
        return value.model_dump()
    return {key: getattr(value, key) for key in value.__dataclass_fields__} if is_dataclass(value) else str(value)


def write(*things: Any) -> None:
    """Prints tables, trees and plain lines."""
    width = None if sys.stdout.isatty() else WIDTH_OF_FILES
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    for thing in things:
        console.print(printable(thing) if isinstance(thing, str) else thing, soft_wrap=isinstance(thing, str))


def printable(value: Any) -> Text:
    """Text as it is, but for control characters (they could steer the terminal), which appear as escapes."""
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return Text("".join(char if char.isprintable() else repr(char)[1:-1] for char in text))


# --- tables


def cell(name: str, value: Any) -> Any:
    """A value as it is printed, by the name of its field and by its type."""
    if name == "size_bytes" and value is not None:
        return decimal(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    is_hash = isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
    return value[:SHORT] if is_hash else value


def make_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A table without lines; columns of numbers stand right."""
    lines = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for number, column in enumerate(columns):
        is_number = bool(column) and any(isinstance(line[number], int | float) for line in lines)
        table.add_column(column.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(printable, line))
    return table


def rows_table(rows: list[Any], around: dict[str, Any]) -> Table:
    """Rows of one kind; a column for each field that is filled and does not repeat a field of the answer around."""
    values = [shown_fields(row) for row in rows]
    columns = [name for name in values[0] if any(row[name] not in (None, "", [], around.get(name)) for row in values)]
    return make_table(columns, ([cell(name, row[name]) for name in columns] for row in values))


def facts_tables(answer: Any) -> list[Any]:
    """The plain fields of one answer, then a table for each field with several rows or settings."""
    fields = {name: value for name, value in shown_fields(answer).items() if value not in (None, "", [], {})}
    parts = {name: value for name, value in fields.items() if _is_part(value)}
    tables: list[Any] = [_settings({name: value for name, value in fields.items() if name not in parts})]
    for name, part in parts.items():
        table = rows_table(part, fields) if isinstance(part, list) else _settings(part)
        tables += ["", f"{name.replace('_', ' ')}:", table]
    return tables


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and not isinstance(value[0], str))


def _settings(part: dict[str, Any]) -> Table:
    """Keys and values; of pairs of values, with a star if they differ."""
    if part and all(isinstance(value, tuple) for value in part.values()):
        pairs = (
            (key, "" if one == other else "*", cell(key, one), cell(key, other)) for key, (one, other) in part.items()
        )
        return make_table(("", "", "a", "b"), pairs)
    whole = {key: value if isinstance(value, str) else cell(key, value) for key, value in part.items()}
    return make_table(("", ""), ((key.replace("_", " "), value) for key, value in whole.items() if value is not None))


# --- trees


def lineage_tree(found: Lineage) -> list[Any]:
    """A tree. What has been shown once is shown without its branches the next time; a circle is called so."""
    cost = f"forwards of all together: {found.forwards:,}"
    notes = ["the recorded lineage runs in a circle: manifests contradict each other"] if found.has_cycle else []
    notes += ["there is more: --limit"] if found.is_cut else []
    return [_grow(found), cost, *notes]


def _grow(found: Lineage) -> Tree:
    """Depth first without recursion: a chain may be longer than Python's stack."""
    below: dict[str, list[tuple[str, str]]] = {}
    for edge in found.edges:
        near, far = (edge.child, edge.parent) if found.direction == "up" else (edge.parent, edge.child)
        below.setdefault(near, []).append((far, f"{edge.relation}: "))
    tree = Tree("")
    waiting, grown = [(tree, found.root, "")], set[str]()
    while waiting:
        branch, content, relation = waiting.pop()
        is_repeated = content in grown and content in below
        added = branch.add(printable(relation + _node_line(found.nodes[content]) + " (shown above)" * is_repeated))
        if content not in grown:
            grown.add(content)
            waiting += [(added, *other) for other in reversed(below.get(content, []))]
    return tree.children[0]


def _node_line(node: Node) -> str:
    cost = f" ({node.sampling_steps} steps, {node.forwards:,} forwards)" if node.forwards is not None else ""
    return f"{node.content[:SHORT]} {node.name or node.kind}{cost}{'' if node.is_known else ' (never seen here)'}"
