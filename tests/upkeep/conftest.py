"""A small pipeline by hand: a base model, latents, a student and an evaluation, with dvc.lock and DVC's cache."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from gpd import documents
from gpd.documents import BaseFacts, PromptsFacts, write_document
from gpd.models.use import profile_text
from tests.documents.test_seals import evaluation
from tests.workspace import add_pipeline

BASE, PROMPTS, EVALUATION = Path("data/tiny-wan"), Path("data/prompts"), Path("data/evaluations/k8/evaluation.json")
CACHE = Path(".dvc-cache")


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def keep(path: Path, value: str, *, is_linked: bool = False) -> None:
    place = CACHE / "files" / "md5" / value[:2] / value[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    os.link(path, place) if is_linked else shutil.copyfile(path, place)


def record(*outputs: Path, is_linked: bool = False) -> None:
    """dvc.lock of these outputs; folders are in the cache, files are kept by git."""
    outs = []
    for out in outputs:
        if out.is_file():
            outs.append({"path": out.as_posix(), "md5": md5(out)})
            continue
        listed = [{"md5": md5(path), "relpath": path.relative_to(out).as_posix()} for path in sorted(out.rglob("*"))]
        for entry in listed:
            keep(out / entry["relpath"], entry["md5"], is_linked=is_linked)
        listing = Path("listing")
        listing.write_text(json.dumps(listed))
        keep(listing, f"{md5(listing)}.dir")
        outs.append({"path": out.as_posix(), "md5": f"{md5(listing)}.dir"})
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"all": {"outs": outs}}}))


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    add_pipeline(tmp_path)
    Path("params.yaml").write_text(profile_text("tiny-wan"))
    BASE.mkdir(parents=True)
    (BASE / "weights").write_bytes(bytes(range(256)) * 64)
    documents.write_manifest(BASE, BaseFacts(name="base", repository=None, revision=None), inputs={}, params={})
    PROMPTS.mkdir()
    (PROMPTS / "prompts.jsonl").write_text('{"id": "p"}\n' * 100)
    facts = PromptsFacts(num_prompts=100, num_evaluation_prompts=4, num_clips=0)
    documents.write_manifest(PROMPTS, facts, inputs={}, params={})
    EVALUATION.parent.mkdir(parents=True)
    curves = EVALUATION.with_name("curves.csv")
    curves.write_text("subject,sigma\nk8,0.5\n")
    files = {"curves.csv": documents.File(sha256=hashlib.sha256(curves.read_bytes()).hexdigest(), size=22)}
    write_document(EVALUATION, evaluation().model_copy(update={"files": files}))
    record(PROMPTS, EVALUATION, curves)
    return tmp_path
