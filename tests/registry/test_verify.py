"""A changed file behind a known hash is found."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpd.artifacts import list_files
from gpd.registry import open_registry, sync, verify
from tests import seals
from tests.registry.conftest import content_of, make_folder, make_student

K8 = Path("data/students/k8")


def states(workspace: Path, content: str | None = None) -> dict[str, tuple[str, list[str]]]:
    with open_registry() as session:
        return {one.path: (one.state, one.wrong) for one in verify(session=session, key=content, workspace=workspace)}


@pytest.fixture
def known(workspace: Path) -> Path:
    sync()
    return workspace


def test_all_is_well(known: Path) -> None:
    assert {state for state, _ in states(known).values()} == {"intact"}
    assert len(states(known)) == 8
    assert list(states(known, content_of(K8))) == [K8.as_posix()]


@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        (
            lambda: (K8 / "part/weights.txt").write_text("the bytes of k9"),
            "data/students/k8/part/weights.txt: content changed",
        ),
        (lambda: (K8 / "index.txt").unlink(), "data/students/k8/index.txt: missing"),
        (lambda: (K8 / "extra").touch(), "data/students/k8/extra: not in the manifest"),
    ],
)
def test_damage_is_named_by_file(known: Path, damage: Any, wrong: str) -> None:
    damage()
    assert states(known)[K8.as_posix()] == ("damaged", [wrong])
    assert {state for path, (state, _) in states(known).items() if path != K8.as_posix()} == {"intact"}


def test_files_and_manifest_changed_together(known: Path) -> None:
    old = content_of(K8)
    (K8 / "index.txt").write_text("forged")
    forged = make_folder(K8, kind="student", text="forged")
    path = K8 / "manifest.json"
    seals.edit(path, lambda text: text.replace(forged.content, old))
    assert list_files(K8)
    state, (wrong,) = states(known)[K8.as_posix()]
    assert state == "damaged"
    assert "manifest.json: damaged: its SHA-256 is" in wrong


def test_a_folder_that_holds_another_checkpoint_now(known: Path) -> None:
    old = content_of(K8)
    make_student(known, "k8", 8, known / "data/students/k4", text="trained again")
    assert states(known, old)[K8.as_posix()][0] == "replaced"


def test_a_folder_that_is_not_here(known: Path) -> None:
    assert {state for state, _ in states(known.parent).values()} == {"absent"}


def test_a_manifest_that_is_gone(known: Path) -> None:
    (K8 / "manifest.json").unlink()
    assert states(known)[K8.as_posix()] == ("intact", [])  # its bytes are what counts
    (K8 / "index.txt").write_text("other")
    assert "no such file" in states(known)[K8.as_posix()][1][0]


def test_files_and_a_manifest_without_a_seal_that_were_changed_together(known: Path) -> None:
    """As an earlier version wrote it: nothing is wrong inside the folder, and it is not what was recorded."""
    old = content_of(K8)
    forged = make_folder(K8, kind="student", text="forged")
    assert forged.content != old
    path = K8 / "manifest.json"
    raw = {key: value for key, value in json.loads(path.read_text()).items() if key != "seal"}
    path.write_text(json.dumps(raw | {"content": old}))
    state, (wrong,) = states(known)[K8.as_posix()]
    assert state == "damaged"
    assert wrong.startswith("data/students/k8")
