"""What the terminal shows of an answer, by hand."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from gpd.registry.answers import JSON_ONLY
from gpd.registry.finding import listed, near, similar
from gpd.registry.lineage import Edge, Lineage, Node
from gpd.registry.printing import cell, make_table, print_answer, printable, write
from gpd.registry.questions import Checkpoints

HASH = "0123456789abcdef" * 4


@dataclass(frozen=True)
class Row:
    name: str
    size_bytes: int | None = None
    words: list[str] = field(default_factory=list)
    hidden: dict[str, Any] = field(default_factory=dict, metadata=JSON_ONLY)


@dataclass(frozen=True)
class Answer:
    name: str
    rows: list[Row]
    params: dict[str, Any]
    pairs: dict[str, tuple[Any, Any]]
    empty: list[Row] = field(default_factory=list)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("size_bytes", 1500, "1.5 kB"),
        ("size_bytes", None, None),
        ("other", 1500, 1500),
        ("at", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC), "2026-03-04 05:06"),
        ("is_known", True, "yes"),
        ("is_known", False, "no"),
        ("tags", ["a", "b"], "a, b"),
        ("content", HASH, "0123456789ab"),
        ("content", HASH[:-1], HASH[:-1]),
        ("content", HASH[:-1] + "g", HASH[:-1] + "g"),
    ],
)
def test_a_value_by_its_name_and_type(name: str, value: Any, shown: Any) -> None:
    assert cell(name, value) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.1234567, "0.123457"),
        (1234567.0, "1.23457e+06"),
        (12, "12"),
        ("a\tb\x1b[1m", "a\\tb\\x1b[1m"),
        ("é", "é"),
    ],
)
def test_what_could_steer_the_terminal_appears_as_escapes(value: Any, text: str) -> None:
    assert printable(value).plain == text


def test_numbers_stand_right_and_a_table_without_names_has_no_head() -> None:
    table = make_table(("name", "num_steps", ""), [("k8", 6, 1), ("k4", None, 2)])
    assert [column.header for column in table.columns] == ["name", "num steps", ""]
    assert [column.justify for column in table.columns] == ["left", "right", "left"]
    assert table.show_header
    assert table.row_count == 2
    assert not make_table(("", ""), []).show_header


def test_rows_have_the_columns_that_are_filled(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer([Row("k8", 2000), Row("k4", hidden={"a": 1})], False)
    assert said(capsys) == ["name size bytes", "k8 2.0 kB", "k4"]
    print_answer([], False)
    assert said(capsys) == ["none"]


def test_an_answer_with_parts(capsys: pytest.CaptureFixture[str]) -> None:
    params = {"learning_rate": 0.5, "note": None, "hash": HASH}
    print_answer(Answer("k8", [Row("k8", 2000), Row("b", 1)], params, {"x": (1, 2), "y": (3, 3)}), False)
    assert said(capsys) == [
        "name k8",
        "",
        "rows:",
        "name size bytes",  # not the columns that repeat the answer's own name in all rows
        "k8 2.0 kB",
        "b 1 byte",
        "",
        "params:",
        "learning rate 0.5",
        f"hash {HASH}",
        "",
        "pairs:",
        "a b",
        "x * 1 2",
        "y 3 3",
    ]


def test_what_is_cut_and_what_was_picked_is_said_beside(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(Checkpoints([], is_cut=True, note="picked one"), False)
    assert capsys.readouterr().err == "gpd: there are more: --limit\ngpd: picked one\n"
    print_answer(Checkpoints([], is_cut=False), False)
    assert capsys.readouterr().err == ""


def test_json_has_what_the_table_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_answer([Row("é", hidden={"at": datetime(2026, 1, 2, tzinfo=UTC)})], True, "a line")
    (row,) = json.loads(text := capsys.readouterr().out)
    assert row == {"name": "é", "size_bytes": None, "words": [], "hidden": {"at": "2026-01-02T00:00:00+00:00"}}
    assert "é" in text
    print_answer([Row("k8")], False, "a line", "another")
    assert said(capsys) == ["a line", "another"]


def node(content: str, **values: Any) -> Node:
    known = {"kind": "student", "name": content, "is_known": True, "forwards": None, "sampling_steps": None}
    return Node(content=content, **(known | values))


def test_a_lineage_is_a_tree_that_shows_each_branch_once(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [
        node("k4", forwards=1200, sampling_steps=12),
        node("k2"),
        node("base", kind="base", name=None, is_known=False),
    ]
    edges = [Edge("k4", "previous", "k2"), Edge("k4", "teacher", "base"), Edge("k2", "teacher", "base")]
    found = Lineage("k4", "up", {one.content: one for one in nodes}, edges, 1200, is_cut=True, has_cycle=True)
    print_answer(found, False)
    assert [line.strip("│├└─ ") for line in capsys.readouterr().out.splitlines()] == [
        "k4 k4 (12 steps, 1,200 forwards)",
        "previous: k2 k2",
        "teacher: base base (never seen here)",
        "teacher: base base (never seen here)",
        "forwards of all together: 1,200",
        "the recorded lineage runs in a circle: manifests contradict each other",
        "there is more: --limit",
    ]
    down = Lineage("base", "down", found.nodes, [*edges, Edge("base", "data", "k4")], 0, is_cut=False, has_cycle=False)
    print_answer(down, False)
    lines = [line.strip("│├└─ ") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "base base (never seen here)"
    assert sum(line.endswith("(shown above)") for line in lines) == 2
    assert lines[-1] == "forwards of all together: 0"


def test_long_lines_and_markup_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    write("[bold]x[/bold] :smile: " + "y" * 300)
    assert capsys.readouterr().out == "[bold]x[/bold] :smile: " + "y" * 300 + "\n"


def test_words_that_may_have_been_meant() -> None:
    assert similar("chmpion", ["champion", "k8"]) == "; did you mean champion?"
    assert similar("zzz", ["champion"]) == ""
    assert similar("k1", ["k1a", "k1b", "k1c", "k1d"]) == "; did you mean k1d or k1c or k1b?"  # at most three
    assert near("zzz", []) == "; there are none yet"
    assert near("zzz", ["b", "a", "a"]) == "; there is a, b"
    words = list("abcdefghijk")
    assert near("zzz", words) == "; there is a, b, c, d, e, f, g, h, i, j, ..."
    assert near("zzz", words[:10]) == "; there is a, b, c, d, e, f, g, h, i, j"
    assert listed(words[:5]) == "a, b, c, d, e"
    assert listed(words[:6]) == "a, b, c, d, e, ..."
