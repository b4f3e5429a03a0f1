"""One flipped bit, with the old time stamp, in each kind of file is found, named and mended where that is possible."""

import sqlite3
import subprocess
from pathlib import Path

import pytest

from gpd import documents
from gpd.artifacts import UserError, hash_file, hash_json, write_json
from gpd.params import load_params
from gpd.registry import sync
from gpd.upkeep import verify
from gpd.upkeep.cache import Cache
from tests.seals import flip
from tests.upkeep.conftest import BASE, CACHE, EVALUATION, PROMPTS, md5, record

ROWS = PROMPTS / "prompts.jsonl"


@pytest.fixture(autouse=True)
def own_cache(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `dvc cache dir` would say it is; this folder is no repository of DVC's."""
    monkeypatch.setattr(Cache, "folder", CACHE)


def run(*paths: Path, repair: bool = False) -> int:
    return verify.run(load_params(), paths, repair)


def damaged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.split(": ")[1] for line in capsys.readouterr().out.splitlines() if line.startswith("damaged: ")]


def test_a_whole_pipeline_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "verify: 6 files, 0 damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    "path",
    [
        ROWS,
        PROMPTS / "manifest.json",
        BASE / "weights",
        BASE / "manifest.json",
        EVALUATION,
        EVALUATION.with_name("curves.csv"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_flipped_bit_is_found_whatever_the_time_stamp_says(
    path: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(path, share)
    assert run() == 1
    assert damaged(capsys) == [str(path)]
    assert run(path.parent) == 1
    assert run(BASE if path.parent != BASE else PROMPTS) == 0


def test_a_missing_file_and_a_path_that_nothing_names(capsys: pytest.CaptureFixture[str]) -> None:
    ROWS.unlink()
    assert run() == 1
    assert f"damaged: {ROWS}: missing" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"verify: data/other: no manifest, .* names it"):
        run(Path("data/other"))


@pytest.mark.parametrize("path", [ROWS, PROMPTS / "manifest.json"])
def test_an_output_comes_back_from_the_cache(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = path.read_bytes()
    flip(path)
    assert run(repair=True) == 0
    assert path.read_bytes() == before
    assert f"{path}: restored from DVC's cache" in capsys.readouterr().out


def test_a_linked_cache_file_has_the_same_damage_and_is_removed(capsys: pytest.CaptureFixture[str]) -> None:
    record(PROMPTS, is_linked=True)
    kept = Cache().place(md5(ROWS))
    with ROWS.open("r+b") as file:
        file.write(b"x")
    assert run(repair=True) == 1
    assert not kept.exists()
    said = capsys.readouterr().out
    assert f"{ROWS}: cannot be restored (DVC's cache had the same damage; its file is removed)" in said
    assert "run `dvc repro --force --single-item prepare`" in said


def test_an_equal_file_elsewhere_serves_as_well() -> None:
    student = Path("data/students/k8")
    student.mkdir(parents=True)
    (student / "weights").write_bytes((BASE / "weights").read_bytes())
    facts = documents.BaseFacts(name="twin", repository=None, revision=None)
    documents.write_manifest(student, facts, inputs={}, params={})
    flip(BASE / "weights")
    assert run(repair=True) == 0


def test_git_gives_back_what_it_has() -> None:
    for words in (["init", "-q"], ["add", "data"], ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "all"]):
        subprocess.run(["git", *words], check=True)
    paths = [EVALUATION, EVALUATION.with_name("curves.csv"), BASE / "manifest.json", BASE / "weights"]
    before = [hash_file(path) for path in paths]
    for path in paths:
        flip(path)
    assert run(repair=True) == 0
    assert [hash_file(path) for path in paths] == before


def test_what_was_made_since_dvc_looked_is_newer_and_not_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    ROWS.write_text("{}\n")
    facts = documents.load_manifest(PROMPTS).facts
    documents.write_manifest(PROMPTS, facts, inputs={}, params={})
    assert run() == 0
    assert "newer than dvc.lock" in capsys.readouterr().out


def test_unfinished_work_that_is_damaged_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    state = Path(".work/distill/k8-0123")
    (state / "at-3").mkdir(parents=True)
    (state / "at-3" / "part").write_bytes(b"weights")
    marker = {
        "format": 1,
        "iteration": 3,
        "tag": "at-3",
        "files": {"part": hash_file(state / "at-3" / "part")},
        "facts": {},
    }
    write_json(state / "state.json", {**marker, "digest": hash_json(marker)})
    decoded = Path(".work/decoded/0-1.npy")
    decoded.parent.mkdir()
    decoded.write_bytes(b"frames")
    flip(state / "at-3" / "part")
    assert run() == 1
    assert damaged(capsys) == [str(decoded), str(state / "at-3" / "part")]
    assert run(repair=True) == 0
    assert not state.exists()
    assert not decoded.exists()


def test_a_damaged_registry_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("registry.db").write_bytes(b"SQLite format 3\0" + bytes(4096))
    assert run() == 1
    assert damaged(capsys) == ["registry.db"]


def test_a_changed_row_of_the_registry_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    sync()
    assert run(Path("registry.db")) == 0
    with sqlite3.connect("registry.db") as registry:
        registry.execute("UPDATE artifact SET name = name || 'x'")
        registry.commit()
    assert run() == 1
    assert "damaged: registry.db: artifact " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../../secret", "/tmp/secret"])
def test_dvc_lock_names_no_files_of_others(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("dvc.lock").write_text(f"stages: {{a: {{outs: [{{path: {name}, md5: '{'0' * 32}'}}]}}}}")
    assert run() == 1
    assert damaged(capsys) == ["dvc.lock"]
