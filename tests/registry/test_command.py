"""`gpd registry ...` as typed: JSON and tables, exit statuses, one line for a mistake."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gpd.artifacts import UserError
from gpd.cli import app
from gpd.registry.printing import print_answer, printable
from gpd.registry.schema import HEAD
from tests.patience import run_patiently
from tests.registry.conftest import content_of, make_student

K8 = Path("data/students/k8")


def gpd(*words: str) -> Result:
    return CliRunner().invoke(app, ["registry", *words])


def ask(*words: str) -> Any:
    """The JSON answer."""
    result = gpd(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def known(workspace: Path) -> Path:
    assert gpd("sync").exit_code == 0
    return workspace


def test_every_question_answers_in_json(known: Path) -> None:
    content = content_of(K8)
    assert ask("best", "--steps", "6", "--where", "guidance.start=6")["winners"][0]["content"] == content
    assert [row["name"] for row in ask("list")] == ["tiny-wan", "k1", "k2", "k4", "k8"]
    assert [row["name"] for row in ask("list", "--steps", "6")] == ["k8"]
    where = "steps <= 6 and trajectory_error < .2 or alias = 'champion'"
    assert [row["name"] for row in ask("list", "--where", where)] == ["tiny-wan", "k8"]
    assert ask("show", "k8")["total_forwards"] == 2440
    assert len(ask("lineage", "k8")["nodes"]) == 7
    assert ask("compare", "k4", "k8")["params"]["horizon"] == ["4.0", "8.0"]
    assert ask("promote", "k8", "--alias", "champion", "--because", "it wins")["content"] == content
    assert ask("resolve", "champion") == {"content": content, "name": "k8", "path": K8.as_posix()}
    assert ask("remark", "champion", "良い", "--by", "Ada")["text"] == "良い"
    assert [event["what"] for event in ask("history", "k8")] == ["run", "promotion", "remark"]
    assert [event["who"] for event in ask("history", "k8") if event["what"] == "remark"] == ["Ada"]
    assert {one["state"] for one in ask("verify")} == {"intact"}
    assert ask("protect", "champion", "--because", "everyone uses it")["is_protected"]
    assert gpd("withdraw", "champion", "--because", "it flickers").exit_code != 0
    assert ask("withdraw", "champion", "--because", "it flickers", "--force")["is_forced"]
    assert ask("tag", "k8", "keep")["text"] == "keep"
    assert ask("describe", "k8", "six steps")["text"] == "six steps"
    assert [(row["name"], row["description"]) for row in ask("list", "--where", "tag=keep")] == [("k8", "six steps")]
    assert ask("upgrade") == {"before": HEAD, "after": HEAD}
    assert ask("sync")["num_new"] == 0


def test_every_question_answers_in_words(known: Path) -> None:
    for words in (
        ["best", "--steps", "6"],
        ["list"],
        ["show", "k8"],
        ["lineage", "k8"],
        ["compare", "k4", "k8"],
        ["promote", "k8", "--alias", "champion", "--because", "it wins"],
        ["history"],
        ["resolve", "champion"],
        ["verify", "k8"],
        ["html"],
    ):
        result = gpd(*words)
        assert result.exit_code == 0, result.output
        assert content_of(K8)[:12] in result.stdout or words == ["html"]
    assert "previous: " in gpd("lineage", "k8").stdout
    assert Path("registry.html").read_text().startswith("<!doctype html>")


def test_export_and_import_by_file(known: Path) -> None:
    assert gpd("export", "backup.jsonl").exit_code == 0
    assert gpd("export").stdout == Path("backup.jsonl").read_text()
    result = gpd("import", "backup.jsonl", "--url", "copy.db")
    assert result.exit_code == 0, result.output
    assert gpd("export", "--url", "copy.db").stdout == Path("backup.jsonl").read_text()
    assert not list(Path().glob(".*.partial"))


def test_verify_fails_where_a_file_was_changed(known: Path) -> None:
    (K8 / "index.txt").write_text("changed")
    result = gpd("verify")
    assert result.exit_code == 1
    assert "data/students/k8/index.txt: content changed" in result.stdout
    assert gpd("verify", "k4").exit_code == 0


def test_verify_of_one_that_is_not_here_fails(known: Path) -> None:
    old = content_of(K8)
    make_student(known, "k8", 8, known / "data/students/k4", text="trained again")
    assert gpd("verify", old[:12]).exit_code == 1
    assert gpd("verify").exit_code == 0


def test_sync_names_what_it_could_not_use(workspace: Path) -> None:
    Path(K8, "manifest.json").write_text("{")
    result = gpd("sync")
    assert result.exit_code == 1
    assert "data/students/k8/manifest.json: not readable as JSON" in result.stderr
    assert "16 new, 0 known, 1 unusable" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["best", "--steps", "6", "--where", "horizon"], "compare a column, metric or param with a value"),
        (["best", "--steps", "6", "--role", "king"], "must be student, base or any"),
        (["promote", "latents", "--alias", "champion", "--because", "x"], "not a checkpoint"),
        (["show", "k9"], "not an alias, hash or name"),
        (["list", "--url", "nothing.db"], "no registry here"),
        (["upgrade", "--url", "nothing.db"], "no registry here"),
    ],
)
def test_mistakes(known: Path, words: list[str], message: str) -> None:
    result = gpd(*words)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
    assert not Path("nothing.db").exists()


def test_a_mistake_is_one_line_and_exit_status_2(known: Path) -> None:
    program = [sys.executable, "-c", "from gpd.cli import main; main()", "registry", "show", "k8"]
    environment = os.environ | {"GPD_REGISTRY_URL": "postgresql://me:secret@localhost:1/gpd"}
    done = run_patiently(program, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gpd: postgresql+psycopg://me:***@localhost:1/gpd: connection failed")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_text_of_others_does_not_steer_the_terminal(known: Path) -> None:
    gpd("remark", "k8", "\x1b[2Jgone [bold]not bold[/bold]\r\nnext")
    shown = gpd("history", "k8").stdout
    assert r"\x1b[2Jgone [bold]not bold[/bold]\r\nnext" in shown
    assert "\x1b" not in shown


def test_the_printer_reads_the_fields_of_any_answer(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Answer:
        content: str
        size_bytes: int
        params: dict[str, Any]
        rows: list[dict[str, Any]]

    answer = Answer("a" * 64, 2048, {"horizon": (4, 8), "seed": (1, 1)}, [{"metric": "psnr", "spread": None}])
    print_answer(answer, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["content", "a" * 64] in lines
    assert ["size", "bytes", "2.0", "kB"] in lines
    assert ["horizon", "*", "4", "8"] in lines
    assert ["seed", "1", "1"] in lines
    assert ["metric"] in lines, "a column that no row fills is left out"
    print_answer([answer], as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["params"]["horizon"] == [4, 8]


def test_formats() -> None:
    assert printable(0.1234567).plain == "0.123457"
    assert printable(None).plain == ""


def test_help_needs_no_database_library() -> None:
    code = "import sys, gpd.cli; sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'sqlmodel', 'alembic')))"
    assert run_patiently([sys.executable, "-c", code]).returncode == 0
