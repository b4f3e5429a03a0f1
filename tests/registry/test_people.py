"""Aliases and remarks: who, when, why, and all of their history."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from gpd.artifacts import UserError
from gpd.registry import current_aliases, history, open_registry, promote, remark, sync, withdraw
from gpd.registry.columns import UtcDateTime
from tests.registry.conftest import content_of, make_evaluation, make_folder, make_student, subject_of


def test_an_alias_passes_on_and_its_history_stays(session: Session, workspace: Path) -> None:
    k4, k8 = (content_of(workspace / "data/students" / name) for name in ("k4", "k8"))
    for content, because in ((k4, "first"), (k8, "half the steps"), (k4, "k8 flickers")):
        promote(session=session, key=content, alias="champion", because=because, by="Ada")
        assert current_aliases(session=session)["champion"] == content
    promote(session=session, key=k8, alias="staging", because="to watch")
    assert current_aliases(session=session) == {"champion": k4, "staging": k8}
    events = history(session=session, key="champion")
    assert [(event.content, event.details["because"]) for event in events] == [
        (k4, "first"),
        (k8, "half the steps"),
        (k4, "k8 flickers"),
    ]
    assert {event.who for event in events} == {"Ada"}
    assert all(datetime.now(UTC) - event.at < timedelta(minutes=5) for event in events)
    withdraw(session=session, alias="staging", because="done")
    assert current_aliases(session=session) == {"champion": k4}


@pytest.mark.parametrize("metric", ["trajectory_error", "psnr"])
@pytest.mark.parametrize("value", ["nan", "inf", None])
def test_a_student_with_a_score_that_is_not_finite_is_not_promoted(
    workspace: Path, synced: str, value: Any, metric: str
) -> None:
    subject = subject_of(workspace / "data/students/k8", error=0.5, steps=6)
    subject["metrics"][metric]["value"] = value
    make_evaluation(workspace, "k8", {"k8": subject})
    sync(url=synced)
    with open_registry(synced, writes=True) as session:
        with pytest.raises(UserError, match=rf"k8 \(.*\): {metric} is (nan|inf), not a finite number") as caught:
            promote(session=session, key="k8", alias="champion", because="it is new")
        assert "\n" not in str(caught.value)
        assert current_aliases(session=session) == {}


def test_a_collapsed_student_is_promoted_only_by_force(workspace: Path, synced: str) -> None:
    subject = subject_of(workspace / "data/students/k8", error=0.1, steps=6)
    subject["metrics"]["motion_ratio"] = {**subject["metrics"]["trajectory_error"], "value": 0.02, "direction": "one"}
    make_evaluation(workspace, "k8", {"k8": subject})
    sync(url=synced)
    words = {"key": "k8", "alias": "champion", "because": "it is near"}
    with open_registry(synced, writes=True) as session:
        with pytest.raises(
            UserError, match=r"k8 \(.*\): collapsed: motion_ratio is 0\.02, outside 0\.33 to 3; --force"
        ):
            promote(session=session, **words)
        assert current_aliases(session=session) == {}
        promote(session=session, **words, force=True)
        assert list(current_aliases(session=session)) == ["champion"]


def test_a_student_that_was_never_measured_is_not_promoted_but_a_base_model_is(workspace: Path, synced: str) -> None:
    make_student(workspace, "k16", 16, workspace / "data/students/k8")
    make_folder(workspace / "data/other", kind="base", facts={"name": "other"})
    sync(url=synced)
    with open_registry(synced, writes=True) as session:
        with pytest.raises(UserError, match=r"k16 \(.*\): no finite score in the registry; evaluate it"):
            promote(session=session, key="k16", alias="champion", because="it is new")
        promote(session=session, key="other", alias="teacher", because="to distil")


def test_what_people_said_is_kept_between_sessions(synced: str, workspace: Path) -> None:
    content = content_of(workspace / "data/students/k8")
    odd = 'it\'s "fine";\nDROP TABLE remark; -- 良い 🎬 </script> \0'
    with open_registry(synced, writes=True) as session:
        remark(session=session, key=content, text=odd, by="Ada")
        promote(session=session, key=content, alias="champion", because=odd)
    with open_registry(synced) as session:
        texts = [event.text for event in history(session=session, key=content) if event.what == "remark"]
        assert texts == [odd.replace("\0", "\ufffd")]
        assert current_aliases(session=session)["champion"] == content


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ("Champion", "small letters"),
        ("", "small letters"),
        ("best:6", "small letters"),
        ("a b", "small letters"),
        ("x" * 65, "small letters"),
        ("cafe", "could be taken for a hash"),
        ("k8", "an artifact has this name"),
        ("tiny-wan", "an artifact has this name"),
    ],
)
def test_aliases_cannot_be_taken_for_something_else(
    session: Session, workspace: Path, alias: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        promote(session=session, key=content_of(workspace / "data/students/k8"), alias=alias, because="why not")
    assert current_aliases(session=session) == {}


@pytest.mark.parametrize("call", [promote, remark])
def test_a_reason_is_needed(session: Session, workspace: Path, call: Any) -> None:
    text = {"alias": "champion", "because": " \n"} if call is promote else {"text": " \n"}
    with pytest.raises(UserError, match="cannot be empty"):
        call(session=session, key=content_of(workspace / "data/students/k8"), **text)
    with pytest.raises(UserError, match="made_by='aaa"):
        remark(session=session, key=content_of(workspace / "data/students/k8"), text="x", by="a" * 300)


def test_an_alias_that_nobody_has(session: Session, workspace: Path) -> None:
    promote(session=session, key=content_of(workspace / "data/students/k8"), alias="champion", because="best")
    with pytest.raises(UserError, match="no checkpoint has it; did you mean champion"):
        withdraw(session=session, alias="champoin", because="x")


def test_times_are_utc_and_aware(session: Session, workspace: Path) -> None:
    run = history(session=session, key=content_of(workspace / "data/students/k8"))[0]
    assert run.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="has no time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), session.connection().dialect)
