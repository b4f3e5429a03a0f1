"""What flows learn of the registry: one that is missing is not one that is damaged."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from flows.checkpoints import as_subject, look_up
from gpd.artifacts import UserError
from gpd.registry import sync
from tests.registry.conftest import content_of, make_workspace


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in git, with a registry that has seen it."""
    monkeypatch.delenv("GPD_REGISTRY_URL", raising=False)
    make_workspace(tmp_path)
    sync(workspace=tmp_path, url=f"{tmp_path}/registry.db")
    for words in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "params"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_what_nothing_is_called_is_none(root: Path) -> None:
    assert look_up(root, "k9") is None
    found = look_up(root, "k8")
    assert found is not None
    assert found.content == content_of(root / "data/students/k8")
    assert found.scores


def test_a_damaged_champion_and_a_missing_registry_are_not_taken_for_none(root: Path) -> None:
    with closing(sqlite3.connect(root / "registry.db")) as database, database:
        database.execute("UPDATE checkpoint SET sampling_steps = 7 WHERE stage = 'k8'")
    with pytest.raises(UserError, match=r"checkpoint 'k8': .* sampling_steps is 7, its facts say 6"):
        look_up(root, "k8")
    (root / "registry.db").unlink()
    with pytest.raises(UserError, match="no registry here"):
        look_up(root, "k8")


def test_a_checkpoint_is_evaluated_wherever_its_files_are(root: Path) -> None:
    k8 = root / "data/students/k8"
    assert as_subject(root, "HEAD", {}, "k8") == ("k8", {})  # of params.yaml: what the run makes
    assert as_subject(root, "HEAD", {}, "best:6:trajectory_error") == ("k8", {"k8": k8})
    content = content_of(k8)
    elsewhere = root / ".work/flows/run/data/students/k8"
    elsewhere.parent.mkdir(parents=True)
    shutil.move(k8, elsewhere)
    assert as_subject(root, "HEAD", {}, content[:12]) == ("k8", {"k8": elsewhere})
    (elsewhere / "index.txt").write_text("damaged")
    with pytest.raises(UserError, match=r"not here|not in"):
        as_subject(root, "HEAD", {}, content[:12])


def test_a_checkpoint_that_params_have_no_stage_for_and_an_unknown_one_are_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"its horizon is 2; params\.yaml: distill\.stages"):
        as_subject(root, "HEAD", {}, "k2")
    with pytest.raises(UserError, match="'k9': not in the registry, nor among reference"):
        as_subject(root, "HEAD", {}, "k9")
