"""Export and import: all comes back, twice is once, a bad line imports nothing."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.registry import best, current_aliases, import_file, open_registry, promote, remark, sync
from tests.registry.conftest import content_of, export, make_evaluation, make_run, subject_of


def load(url: str, lines: list[str]) -> tuple[int, int]:
    with tempfile.NamedTemporaryFile("w", suffix="-backup.jsonl", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        done = import_file(Path(file.name), url)
    return done.new, done.read


@pytest.fixture
def told(synced: str, workspace: Path) -> str:
    """A registry with all that cannot be rebuilt from a workspace."""
    make_run(workspace, "k9", None, exit_code=1, error="ValueError: no")
    sync(url=synced)
    with open_registry(synced, writes=True) as session:
        content = content_of(workspace / "data/students/k8")
        promote(session=session, key=content, alias="champion", because="best\u2028so far")
        remark(session=session, key=content, text="line\nline 良い 🎬")
    return synced


def test_all_comes_back_on_either_database(told: str, empty_url: str) -> None:
    lines = export(told)
    assert load(empty_url, lines) == (len(lines) - 1, len(lines) - 1)
    assert export(empty_url) == lines
    assert load(empty_url, lines)[0] == 0
    assert export(empty_url) == lines


def test_people_s_words_survive_a_rebuild(told: str, workspace: Path) -> None:
    lines = export(told)
    sync(url="rebuilt.db")
    load("rebuilt.db", lines)
    assert export("rebuilt.db") == lines
    with open_registry("rebuilt.db") as session:
        assert current_aliases(session=session)["champion"] == content_of(workspace / "data/students/k8")


def test_what_is_current_here_stays_current(told: str, workspace: Path) -> None:
    backup = export(told)
    make_evaluation(workspace, "k8", {"k8": subject_of(workspace / "data/students/k8", error=0.5, steps=6)})
    sync(url="later.db")
    load("later.db", backup)
    with open_registry("later.db") as session:
        assert best(session=session, steps=6).winners[0].value == 0.5


def test_an_artifact_known_by_name_only_is_filled_in(told: str, workspace: Path) -> None:
    lines = export(told)
    (workspace / "data/students").rename(workspace / "elsewhere")
    sync(url="partial.db")
    load("partial.db", lines)
    assert export("partial.db") == lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "backup.jsonl:3: .*Invalid JSON"),
        ("[]", "backup.jsonl:3: .*should be an object"),
        ('{"table": "users", "row": {}}', "backup.jsonl:3: table='users'"),
        ('{"table": "artifact", "row": {"content": "x", "kind": "base"}}', "backup.jsonl:3: content='x'"),
        (
            '{"table": "artifact", "row": {"content": "' + "a" * 64 + '", "kind": "base", "x": 1}}',
            "backup.jsonl:3: x=1",
        ),
        ('{"table": "param", "row": {"content": "' + "a" * 64 + '", "key": "k", "value": "v"}}', "(?i)foreign key"),
    ],
)
def test_a_bad_line_imports_nothing(synced: str, line: str, message: str) -> None:
    before = export(synced)
    good = json.dumps({"table": "artifact", "row": {"content": "b" * 64, "kind": "base"}})
    with pytest.raises(UserError, match=message):
        load(synced, [before[0], good, line])
    assert export(synced) == before


@pytest.mark.parametrize("header", ["", "{}", '{"format": 2, "revision": "0001"}', '{"format": 1, "revision": "9999"}'])
def test_a_file_that_is_no_export(synced: str, header: str) -> None:
    with pytest.raises(UserError, match=r"backup.jsonl:1: "):
        load(synced, [header])


def test_the_order_of_keys_in_a_document_is_no_difference(made_sqlite: Path, tmp_path: Path) -> None:
    exports = []
    for number, params in enumerate(({"a": 1, "é": 2}, {"é": 2, "a": 1})):
        url = str(shutil.copy(made_sqlite, tmp_path / f"{number}.db"))
        row = {"content": "a" * 64, "kind": "base", "params": params}
        load(url, [*export(url), json.dumps({"table": "artifact", "row": row})])
        exports.append(export(url))
    assert exports[0] == exports[1]
    assert "é" in exports[0][-1]  # and no escapes


def test_more_rows_than_are_taken_at_once(made_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpd.registry.exchange.ROWS_AT_ONCE", 3)
    url = str(shutil.copy(made_sqlite, tmp_path / "it.db"))
    rows = [{"table": "artifact", "row": {"content": f"{number:064d}", "kind": "base"}} for number in range(8)]
    lines = [*export(url), *map(json.dumps, rows)]
    assert load(url, lines) == (8, 8)
    assert load(url, lines) == (0, 8)
    assert len(export(url)) == 9


def test_an_import_fills_in_what_was_never_seen_and_changes_nothing_else(made_sqlite: Path, tmp_path: Path) -> None:
    url = str(shutil.copy(made_sqlite, tmp_path / "it.db"))
    header = export(url)
    stub, full, other = (
        json.dumps({"table": "artifact", "row": {"content": "a" * 64, "kind": kind, "manifest_hash": manifest}})
        for kind, manifest in (("unknown", None), ("student", "b" * 64), ("base", "c" * 64))
    )
    for line, new, kind in ((stub, 1, "unknown"), (full, 0, "student"), (other, 0, "student"), (stub, 0, "student")):
        assert load(url, [*header, line]) == (new, 1)
        assert f'"kind": "{kind}"' in export(url)[1]
