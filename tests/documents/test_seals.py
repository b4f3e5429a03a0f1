"""One flipped bit anywhere in a document is found; so is a cut, and an edit that is valid in itself."""

import json
from pathlib import Path

import pytest

from gpd import documents
from gpd.artifacts import DamagedError, UserError
from gpd.documents import Evaluation, Manifest, PromptsFacts, Protocol, Score, SubjectScores, write_document
from tests.seals import flips


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("a")
    facts = PromptsFacts(num_prompts=8, num_evaluation_prompts=4, num_clips=0)
    documents.write_manifest(tmp_path, facts, inputs={}, params={"model.shift": 3.0})
    return tmp_path


def evaluation() -> Evaluation:
    protocol = Protocol(
        hash="0" * 64,
        prompts="1" * 64,
        num_prompts=2,
        seeds=[0],
        height=64,
        width=64,
        num_frames=5,
        shift=3.0,
        grid_steps=48,
        negative_prompt="",
        reference_guidance_scale=3.0,
        diversity_prompts=1,
        diversity_seeds=2,
        teacher="2" * 64,
    )
    score = Score(value=0.25, num_samples=2, spread=None, direction="lower")
    subject = SubjectScores(
        checkpoint="3" * 64, solver="euler", steps=6, guidance_scale=1.0, forwards=6, metrics={"flicker": score}
    )
    return Evaluation(protocol=protocol, subjects={"k8": subject})


def read_or_none(path: Path, kind: type) -> object:
    try:
        return documents.load_manifest(path.parent) if kind is Manifest else documents.load_document(kind, path, "")
    except UserError:
        return None


@pytest.mark.parametrize("kind", [Manifest, Evaluation])
def test_every_flipped_bit_is_found(folder: Path, kind: type) -> None:
    path = folder / ("manifest.json" if kind is Manifest else "evaluation.json")
    if kind is Evaluation:
        write_document(path, evaluation())
    whole = read_or_none(path, kind)
    assert whole is not None
    for flipped in flips(path.read_bytes()):
        path.write_bytes(flipped)
        assert read_or_none(path, kind) in (None, whole)


def test_every_cut_is_found(folder: Path) -> None:
    path = folder / "manifest.json"
    text = path.read_bytes()
    for length in range(0, len(text) - 2, 7):  # without the final newline it is still whole
        path.write_bytes(text[:length])
        with pytest.raises(UserError):
            documents.load_manifest(folder)


def test_an_edited_fact_is_named_with_both_digests_and_the_way_out(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"num_prompts": 8', '"num_prompts": 4'))
    with pytest.raises(
        DamagedError, match=rf"^{path}: damaged: its SHA-256 is \w{{64}}, expected '\w{{64}}'; `gpd verify"
    ):
        documents.load_manifest(folder)


def test_a_document_of_an_earlier_version_has_no_seal(folder: Path) -> None:
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    assert list(raw)[-1] == "seal"
    del raw["seal"]
    path.write_text(json.dumps(raw))
    assert documents.load_manifest(folder).facts.num_prompts == 8  # type: ignore[attr-defined]
    raw["files"]["a.txt"]["sha256"] = "0" * 64
    path.write_text(json.dumps(raw))
    with pytest.raises(DamagedError):
        documents.load_manifest(folder)


def test_files_are_compared_before_they_are_used(folder: Path) -> None:
    documents.check_files(folder, "a.txt")
    (folder / "a.txt").write_text("b")
    with pytest.raises(DamagedError, match=r"a.txt: damaged"):
        documents.check_files(folder, "a.txt")
    (folder / "a.txt").unlink()
    with pytest.raises(DamagedError, match=r"a.txt: damaged: its SHA-256 is missing"):
        documents.check_files(folder, "a.txt")
    with pytest.raises(UserError, match=r"b.txt: not a file of"):
        documents.check_files(folder, "b.txt")
