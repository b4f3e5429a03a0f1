"""The registry in Datasette: descriptions and questions on a copy, and one real server."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from gpd.artifacts import UserError
from gpd.registry import web
from gpd.registry.snapshot import write_snapshot
from gpd.registry.sql import VIEWS

METADATA = web.load_metadata()["databases"][web.NAME]


@pytest.fixture(scope="module")
def copy(synced_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("copy") / f"{web.NAME}.db"
    write_snapshot(file, str(synced_sqlite))
    return file


def ask(copy: Path, question: str, **words: Any) -> list[dict[str, Any]]:
    """What Datasette answers to a canned query, as a program sees it."""

    async def get() -> Any:
        application = web.make_application(copy)
        await application.invoke_startup()
        return await application.client.get(f"/{web.NAME}/{question}.json", params={"_shape": "array", **words})

    answer = asyncio.run(get())
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    return rows


def test_every_view_and_its_columns_are_described_and_nothing_else(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as database:
        tables = {
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        }
        assert METADATA["tables"].keys() <= tables
        for view in (*VIEWS, "lineage"):
            described = METADATA["tables"][view]
            columns = [column for _, column, *_ in database.execute(f"PRAGMA table_info({view})")]
            assert list(described["columns"]) == columns
            assert set(described["facets"]) <= set(columns)


def test_the_best_under_a_protocol(copy: Path) -> None:
    (found,) = ask(copy, "best", steps="6", metric="trajectory_error", protocol="")
    assert (found["name"], found["value"]) == ("k8", 0.0625)
    assert ask(copy, "best", steps="", metric="", protocol=found["protocol"][:8]) == [found]
    assert ask(copy, "best", steps="6", metric="", protocol="not this") == []


def test_descendants(copy: Path) -> None:
    rows = ask(copy, "descendants", checkpoint="k2")
    assert [(row["generation"], row["name"]) for row in rows] == [(0, "k2"), (1, "k4"), (2, "k8")]
    assert ask(copy, "descendants", checkpoint=rows[1]["content"][:10])[0]["name"] == "k4"
    assert ask(copy, "descendants", checkpoint="") == []


def test_what_changed(copy: Path) -> None:
    found = ask(copy, "changed", a="k4", b="k8")
    rows = {(row["what"], row["key"]): (row["a"], row["b"], row["difference"]) for row in found}
    assert rows["param", "horizon"] == ("4.0", "8.0", None)
    assert ("input", "previous") in rows
    assert ("input", "teacher") not in rows  # the same
    assert ask(copy, "changed", a="k4", b="k4") == []


def test_what_changed_has_scores_with_spread_and_cost(copy: Path, tmp_path: Path) -> None:
    """Two students of one number of steps, the second with other figures."""
    with closing(sqlite3.connect(copy)) as database:
        script = """
            UPDATE checkpoint SET forwards = forwards + 100 WHERE stage = 'k4';
            UPDATE evaluation SET steps = 6, forwards = 6, solver = 'euler' WHERE subject = 'k4';
            UPDATE score SET steps = 6, spread = 0.04
              WHERE evaluation IN (SELECT id FROM evaluation WHERE subject = 'k4');
            """
        with closing(sqlite3.connect(tmp_path / copy.name)) as other:
            database.backup(other)
            other.executescript(script)
    found = ask(tmp_path / copy.name, "changed", a="k4", b="k8")
    rows = {(row["what"], row["key"]): (row["a"], row["b"], row["difference"]) for row in found}
    assert rows["score", "trajectory_error"] == ("0.125", "0.0625", -0.0625)
    assert rows["spread", "trajectory_error"] == ("0.04", "0.01", -0.03)
    assert rows["cost", "forwards of training"] == ("710", "610", -100)
    assert [row["what"] for row in found] == sorted(
        (row["what"] for row in found), key="score spread cost param input".find
    )


def test_cost(copy: Path) -> None:
    rows = {row["stage"]: row for row in ask(copy, "cost")}
    assert (rows["distill@k8"]["forwards"], rows["distill@k8"]["device_seconds"]) == (200, 60.0)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_every_question_has_the_same_answer_of_postgresql(copy: Path, synced: str, tmp_path: Path) -> None:
    write_snapshot(tmp_path / copy.name, synced)
    words = {"steps": "6", "metric": "psnr", "protocol": "", "checkpoint": "k2", "a": "k4", "b": "k8"}
    for question, query in METADATA["queries"].items():
        given = {word: value for word, value in words.items() if f":{word}" in query["sql"]}
        answer = ask(copy, question, **given)
        assert answer, question
        assert ask(tmp_path / copy.name, question, **given) == answer


def test_a_real_server_answers_this_machine_alone_and_leaves_nothing(synced_sqlite: Path, tmp_path: Path) -> None:
    before = synced_sqlite.read_bytes()
    command = [sys.executable, "-m", "gpd", "registry", "serve", "--port=0", f"--url={synced_sqlite}"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout
        found = re.search(r"http://127\.0\.0\.1:(\d+)/registry", server.stdout.readline())
        try:
            assert found
            page = httpx.get(found[0], timeout=60)
            query = {"sql": "DELETE FROM param", "_shape": "array"}
            refused = httpx.get(f"{found[0]}.json", params=query, timeout=60)
            stranger = httpx.get(found[0], headers={"Host": "elsewhere.example"}, timeout=60)
        finally:
            server.send_signal(signal.SIGTERM)
    assert page.status_code == 200
    elsewhere = re.findall(r"""(src|href)=["'](?:https?:)?//(?!127\.0\.0\.1)([^/"']*)""", page.text)
    assert elsewhere == [("href", "datasette.io")]  # a link that a person may follow
    assert json.loads(refused.text)["ok"] is False
    assert stranger.status_code == 400
    assert server.returncode == 0
    assert (list(tmp_path.iterdir()), synced_sqlite.read_bytes()) == ([], before)


def test_what_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((web.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: "):
            web.serve(None, port)
    monkeypatch.setitem(sys.modules, "datasette", None)
    with pytest.raises(UserError, match=r"pip install 'gpd\[web\]'"):
        web.serve(None, 0)
