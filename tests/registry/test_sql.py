"""Questions in SQL: the views, the forms of an answer, and that nothing can be written."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import Session
from typer.testing import CliRunner

from gpd.artifacts import UserError
from gpd.cli import app
from gpd.registry import best, open_registry
from gpd.registry.sql import VIEWS, Answer, ask, print_as
from tests.registry.conftest import export


def test_the_leaderboard_begins_with_the_best(session: Session) -> None:
    query = "select name, value from leaderboard where metric = 'trajectory_error' and steps = 6 and kind = 'student'"
    assert ask(session=session, query=query).rows == [("k8", best(session=session, steps=6).winners[0].value)]
    query = "select subject, place from leaderboard where metric = 'psnr' and steps = 6 order by subject;"
    assert ask(session=session, query=query).rows == [("euler-6", 1), ("k8", 1), ("unipc-6", 1)]  # a tie


def test_each_view_has_what_was_recorded(session: Session) -> None:
    counts = {name: ask(session=session, query=f"select count(*) from {name}").rows[0][0] for name in VIEWS}
    assert counts == {"students": 4, "scores": 18, "leaderboard": 18, "runs": 4}
    parents = (
        "select p.name from lineage l join artifact p on p.content = l.parent join students s on s.content = l.child"
    )
    found = ask(session=session, query=f"{parents} where s.name = 'k8' and l.relation = 'previous'")
    assert (found.columns, found.rows) == (["name"], [("k4",)])


def test_text_with_colons_and_percents_is_text(session: Session) -> None:
    query = "with x as (select ':a 100%; %(b)s' as t) select t from x -- a comment"
    assert ask(session=session, query=query).rows == [(":a 100%; %(b)s",)]


def test_more_rows_than_the_limit(session: Session) -> None:
    found = ask(session=session, query="select name from students order by name", limit=2)
    assert (found.rows, found.is_cut) == ([("k1",), ("k2",)], True)


@pytest.mark.parametrize(
    "query",
    [
        "delete from param",
        "update artifact set name = 'x'",
        "drop table param",
        "pragma journal_mode = delete",
        "commit",
        "with gone as (delete from param returning *) select * from gone",
        "select 1) as a; delete from param; --",
        "select 1) as a; commit; delete from param; select (1",
        "select 1; delete from param",
        "select nothing from nowhere",
        "",
    ],
)
def test_nothing_can_be_written(synced: str, query: str) -> None:
    before = export(synced)
    with pytest.raises(UserError) as caught, open_registry(synced) as session:
        ask(session=session, query=query)
    assert "\n" not in str(caught.value)
    assert export(synced) == before


def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(["name", "value"], [("a|b", 0.5), ("c,\nd", None)], is_cut=False)
    printed = {}
    for form in ("table", "json", "csv", "md"):
        print_as(form, answer)
        printed[form] = capsys.readouterr().out
    assert json.loads(printed["json"]) == [{"name": "a|b", "value": 0.5}, {"name": "c,\nd", "value": None}]
    assert list(csv.reader(io.StringIO(printed["csv"]))) == [["name", "value"], ["a|b", "0.5"], ["c,\nd", ""]]
    assert printed["md"].splitlines() == ["| name | value |", "| --- | --- |", "| a\\|b | 0.5 |", "| c, d |  |"]
    assert printed["table"].split() == ["name", "value", "a|b", "0.5", "c,\\nd"]
    with pytest.raises(UserError, match="--format xml: must be table, json, csv, md"):
        print_as("xml", answer)


def test_the_command(workspace: Path, synced_sqlite: Path) -> None:
    words = ["registry", "sql", "select name from students order by name", "--format", "csv", "--limit", "3"]
    result = CliRunner().invoke(app, [*words, "--url", str(synced_sqlite)])
    assert result.stdout.split() == ["name", "k1", "k2", "k4"]
    assert "there are more: --limit" in result.stderr


def test_a_thousand_rows_unless_more_are_asked_for(synced_sqlite: Path) -> None:
    numbers = "with n(i) as (select 1 union all select i + 1 from n where i < {}) select i from n"
    with open_registry(str(synced_sqlite)) as session:
        for number, limit, shown in ((1001, {}, 1000), (1000, {}, 1000), (3, {"limit": 2}, 2), (2, {"limit": 2}, 2)):
            found = ask(session=session, query=numbers.format(number), **limit)
            assert (len(found.rows), found.is_cut) == (shown, number > shown)
            assert found.columns == ["i"]


def test_a_time_in_json_is_text(synced_sqlite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_as("json", Answer(["at", "é"], [(datetime(2026, 1, 2, tzinfo=UTC), 1)], is_cut=False))
    assert json.loads(text := capsys.readouterr().out) == [{"at": "2026-01-02 00:00:00+00:00", "é": 1}]
    assert "é" in text
