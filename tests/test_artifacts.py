import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import BaseFacts, Manifest
from tests.seals import write_sealed

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_hashes_do_not_see_the_order_of_keys(value: dict[str, object]) -> None:
    assert artifacts.hash_json(value) == artifacts.hash_json(dict(reversed(value.items())))


def test_hashes_see_every_change(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("one")
    before = artifacts.hash_files(artifacts.list_files(tmp_path))
    (tmp_path / "sub" / "a.txt").write_text("two")
    changed = artifacts.hash_files(artifacts.list_files(tmp_path))
    (tmp_path / "sub" / "a.txt").rename(tmp_path / "sub" / "b.txt")
    renamed = artifacts.hash_files(artifacts.list_files(tmp_path))
    assert len({before, changed, renamed}) == 3


def make(folder: Path) -> Manifest[BaseFacts]:
    folder.mkdir(exist_ok=True)
    (folder / "weights.txt").write_text("w")
    return documents.write_manifest(
        folder, BaseFacts(name="a", repository=None, revision=None), inputs={}, params={"a": 1}
    )


def test_manifests_of_equal_folders_are_equal_bytes(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()


def test_a_manifest_finds_what_changed(tmp_path: Path) -> None:
    make(tmp_path)
    assert documents.verify(tmp_path) == []
    (tmp_path / "weights.txt").write_text("W")
    (tmp_path / "more.txt").write_text("m")
    assert documents.verify(tmp_path) == ["more.txt: not in the manifest", "weights.txt: content changed"]
    (tmp_path / "weights.txt").unlink()
    assert "weights.txt: missing" in documents.verify(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a document of gpd"),
        (json.dumps({"format": 99, "kind": "base"}), "format 99 is newer than this gpd reads"),
        (json.dumps({"format": 1, "kind": "student"}), "kind is 'student', expected 'base'"),
    ],
)
def test_manifests_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=message):
        documents.load_manifest(tmp_path, BaseFacts)


def test_a_missing_manifest_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing/manifest\.json: no such file"):
        documents.load_manifest(tmp_path / "nothing")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with artifacts.replacing(target) as folder:
        (folder / "a").write_text("first")
    with pytest.raises(FileNotFoundError), artifacts.replacing(target) as folder:
        (folder / "a").write_text((folder / "missing").read_text())
    assert (target / "a").read_text() == "first"
    with artifacts.replacing(target) as folder:
        (folder / "b").write_text("second")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    artifacts.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.write_json(path, {"a": math.nan})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in (folder / ".work" / "runs").glob("*.json")]


def test_runs_are_recorded_also_when_they_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # run records lie below the work tree
    with documents.recording_run("good", {"a": 1}) as record:
        record.forwards = {"teacher": 3}
    with pytest.raises(UserError), documents.recording_run("bad", {}):
        raise UserError("params.yaml: no")
    found = {record["stage"]: record for record in records(tmp_path)}
    assert (found["good"]["exit_code"], found["good"]["forwards"]) == (0, {"teacher": 3})
    assert (found["bad"]["exit_code"], found["bad"]["error"]) == (2, "UserError: params.yaml: no")
    assert found["good"]["started"] <= found["good"]["ended"]


def test_settings_stand_by_dotted_keys_however_they_were_written(tmp_path: Path) -> None:
    make(tmp_path / "a")
    raw = json.loads((tmp_path / "a" / "manifest.json").read_text())
    raw["params"] = {"model": {"shift": 3.0, "hub": {}}, "seeds": [0, 1]}
    write_sealed(tmp_path / "a" / "manifest.json", raw)
    assert documents.load_manifest(tmp_path / "a").params == {"model.shift": 3.0, "model.hub": {}, "seeds": [0, 1]}


def test_what_safetensors_says_of_a_full_disk_is_an_oserror() -> None:
    with pytest.raises(OSError, match="No space left on device") as caught, artifacts.system_errors(Path("k8")):
        raise ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert (caught.value.errno, caught.value.filename) == (28, "k8")
    with pytest.raises(ValueError, match="another"), artifacts.system_errors(Path("k8")):
        raise ValueError("another mistake")


def test_a_digest_from_a_file_cannot_move_the_cursor() -> None:
    assert str(artifacts.damaged(Path("manifest.json"), "ab", "\x08")).isprintable()
