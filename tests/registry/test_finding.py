"""From what a person types to a folder."""

from pathlib import Path

import pytest
from sqlmodel import Session

from gpd.artifacts import UserError
from gpd.registry import find_artifact, find_checkpoint, open_registry, promote, sync, withdraw
from gpd.registry.places import locate
from tests import seals
from tests.registry.conftest import content_of, make_evaluation, make_student, subject_of

K8 = Path("data/students/k8")


def test_a_checkpoint_by_each_of_its_names(session: Session, workspace: Path) -> None:
    content = content_of(workspace / K8)
    promote(session=session, key=content, alias="champion", because="best")
    for spec in ("champion", "best:6", "best:6:psnr", content, content[:12], content[:6].upper(), "k8"):
        found = find_checkpoint(spec, session=session, workspace=workspace)
        assert (found.content, found.path, found.name) == (content, workspace / K8, "k8")


def test_abbreviations_must_mean_one_thing(workspace: Path, synced: str) -> None:
    twins = [
        make_student(workspace, f"twin{number}", 8, workspace / "data/students/k4", text=f"{number}")
        for number in range(2)
    ]
    for folder, digit in zip(twins, "01", strict=True):  # hashes that differ in the last digit only
        manifest = folder / "manifest.json"
        content = "abcd" + "0" * 59 + digit
        seals.edit(manifest, lambda text: text.replace(content_of(folder), content))  # noqa: B023 - called at once
    sync(url=synced)
    from gpd.registry import tables as t
    from gpd.registry.engine import make_engine, registry_url, writing
    from gpd.registry.recording import insert_missing

    rows = [t.checked(t.Artifact, content="abcd" + "0" * 59 + digit, kind="student").model_dump() for digit in "01"]
    with writing(make_engine(registry_url(synced))) as connection:
        insert_missing(connection, t.Artifact, rows)
    with open_registry(synced) as session:
        with pytest.raises(UserError, match=r"'abcd0' is ambiguous: abcd00000000 \(student\), abcd00000000"):
            find_artifact(key="abcd0", session=session)
        assert find_artifact(key="abcd" + "0" * 59 + "1", session=session).content.endswith("1")


@pytest.mark.parametrize("key", ["ffffffff", "k88", "", "abc", "k8' OR '1'='1", "%", "k_", "g" * 64, "a" * 65, "\0"])
def test_what_is_not_there_is_said_with_what_is(session: Session, key: str) -> None:
    with pytest.raises(UserError, match="not an alias, hash or name in the registry; ") as caught:
        find_artifact(key=key, session=session)
    assert "k8" in str(caught.value)


def test_data_is_not_a_checkpoint(session: Session, workspace: Path) -> None:
    assert find_artifact(key="latents", session=session).kind == "latents"
    with pytest.raises(UserError, match="'latents' is of kind latents, not a checkpoint"):
        find_checkpoint("latents", session=session, workspace=workspace)


def test_a_name_means_the_one_that_is_here(workspace: Path, synced: str) -> None:
    old = content_of(workspace / K8)
    make_student(workspace, "k8", 8, workspace / "data/students/k4", text="trained again")
    sync(url=synced)
    with open_registry(synced) as session:
        assert find_checkpoint("k8", session=session).content == content_of(K8) != old
        with pytest.raises(
            UserError, match=r"data/students/k8 holds \w{12} now; made on somewhere at commit e{12}; no"
        ):
            find_checkpoint(old[:12], session=session)
        with pytest.raises(UserError, match="'k8' is ambiguous"):
            find_artifact(key="k8", session=session, workspace=workspace.parent)


def test_files_that_are_not_here(session: Session, workspace: Path) -> None:
    with pytest.raises(UserError, match=r"not in this workspace, .*; data/students/k8 is not there"):
        find_checkpoint("k8", session=session, workspace=workspace.parent)


def test_a_checkpoint_known_by_its_hash_alone(workspace: Path, synced: str) -> None:
    subject = subject_of(workspace / K8, error=0.001, steps=6)
    make_evaluation(workspace, "far", {"far": {**subject, "checkpoint": "f" * 64}})
    sync(url=synced)
    with (
        open_registry(synced) as session,
        pytest.raises(UserError, match=r"f{12} \(unknown\): not in this workspace.*; made by no run recorded here"),
    ):
        locate(artifact=find_artifact(key="f" * 12, session=session), session=session, workspace=workspace)


def test_a_tie_is_not_decided_by_chance(workspace: Path, synced: str) -> None:
    twin = make_student(workspace, "twin", 8, workspace / "data/students/k4")
    make_evaluation(workspace, "twin", {"twin": subject_of(twin, error=0.0625, steps=6)})
    sync(url=synced)
    with open_registry(synced) as session, pytest.raises(UserError, match=r"best:6: a tie of \w{12}, \w{12}; name one"):
        find_checkpoint("best:6", session=session)


def test_an_alias_withdrawn_is_none(session: Session, workspace: Path) -> None:
    promote(session=session, key=content_of(workspace / K8), alias="champion", because="best")
    withdraw(session=session, alias="champion", because="it flickers")
    with pytest.raises(UserError, match="'champion': not an alias"):
        find_checkpoint("champion", session=session)
