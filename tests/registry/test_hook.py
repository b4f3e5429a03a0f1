"""The user's command, as far as it needs no registry: what it is given and what is said of it."""

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gpd.registry.hook import VARIABLE, run_hook


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str) -> str:
    monkeypatch.setenv(VARIABLE, command)
    run_hook({"because": "良い", "at": datetime(2026, 1, 2, tzinfo=UTC)})
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def shell(script: str) -> str:
    return shlex.join(["sh", "-c", script])


def test_a_command_that_ends_well_is_given_the_document_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    assert run(monkeypatch, capsys, shell(f"cat > {shlex.quote(str(told))}; echo to nobody; echo to me >&2")) == ""
    assert json.loads(told.read_text()) == {"because": "良い", "at": "2026-01-02 00:00:00+00:00"}
    assert "良い" in told.read_text()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first; echo last; exit 3", "exit status 3 (last)"),
        ("echo aside; echo why >&2; exit 1", "exit status 1 (why)"),
        ("exit 4", "exit status 4 (it said nothing)"),
        ("printf '%0300d' 1; exit 1", f"exit status 1 ({'0' * 200})"),
    ],
)
def test_its_last_words_are_passed_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, said: str
) -> None:
    assert f"{said}; the alias has changed all the same" in run(monkeypatch, capsys, shell(script))


def test_words_that_no_shell_would_split_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(monkeypatch, capsys, "notify 'unclosed")
    assert said.count("\n") == 1
    assert "No closing quotation" in said


@pytest.mark.parametrize("nothing", ["", "  "])
def test_no_command_no_hook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing: str) -> None:
    assert run(monkeypatch, capsys, nothing) == ""
