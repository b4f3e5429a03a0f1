"""Large weights are hashed while they are loaded; nothing that follows from damaged ones takes its name on the disk."""

from pathlib import Path

import pytest

from gpd import artifacts, documents
from gpd.artifacts import DamagedError
from gpd.documents import BaseFacts, RunRecord
from gpd.documents.reading import parse_json
from tests.seals import flip

WEIGHTS = "transformer/model.safetensors"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights that count as large; its directory is the current one."""
    monkeypatch.setattr(artifacts, "LARGE", 1)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    (folder / WEIGHTS).parent.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(bytes(1000))
    (folder / "transformer/config.json").write_text("{}")
    documents.write_manifest(folder, BaseFacts(name="a", repository=None, revision=None), inputs={}, params={})
    return folder


def test_whole_weights_publish(model: Path, tmp_path: Path) -> None:
    documents.check_below(model, "transformer")
    artifacts.write_json(tmp_path / "out.json", {})
    assert not artifacts._begun


def test_damaged_weights_are_loaded_and_publish_neither_file_nor_folder(model: Path, tmp_path: Path) -> None:
    flip(model / WEIGHTS)
    for publish in (lambda: artifacts.write_json(tmp_path / "out.json", {}), lambda: _publish(tmp_path / "out")):
        documents.check_below(model, "transformer")
        with pytest.raises(DamagedError, match=r"model\.safetensors: damaged: its SHA-256 is"):
            publish()
        assert sorted(path.name for path in tmp_path.iterdir() if path != model) == []


def _publish(folder: Path) -> None:
    with artifacts.replacing(folder) as new:
        (new / "file").touch()


def test_what_is_parsed_is_compared_before_it_is_read(model: Path) -> None:
    flip(model / "transformer/config.json")
    with pytest.raises(DamagedError, match=r"config\.json"):
        documents.check_below(model, "transformer")
    artifacts.forget_checks()


def test_small_weights_are_compared_before_they_are_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "LARGE", 2**28)
    flip(model / WEIGHTS)
    with pytest.raises(DamagedError):
        documents.check_below(model, "transformer")


def test_a_run_that_computed_from_damage_has_failed_and_is_recorded(model: Path, tmp_path: Path) -> None:
    flip(model / WEIGHTS)
    with pytest.raises(DamagedError), documents.recording_run("sample", {}):
        documents.check_below(model, "transformer")
    (record,) = (tmp_path / ".work/runs").glob("*.json")
    read = RunRecord.model_validate(parse_json(record.read_text()))
    assert (read.exit_code, "damaged" in str(read.error)) == (2, True)


def test_a_run_that_fails_is_recorded_without_waiting(model: Path, tmp_path: Path) -> None:
    flip(model / WEIGHTS)
    documents.check_below(model, "transformer")
    with pytest.raises(KeyboardInterrupt), documents.recording_run("sample", {}):
        raise KeyboardInterrupt
    assert not artifacts._begun
    assert len(list((tmp_path / ".work/runs").glob("*.json"))) == 1
