"""Aliases and remarks: who, when, why, and all of their history."""

import getpass
import json
import shlex
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from gpd.artifacts import UserError
from gpd.registry import (
    current_aliases,
    describe,
    history,
    hook,
    open_registry,
    promote,
    protect,
    remark,
    show,
    sync,
    tag,
    withdraw,
)
from gpd.registry.columns import UtcDateTime
from gpd.registry.people import whoami
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


def test_a_protected_alias_is_moved_by_force_only(session: Session, workspace: Path) -> None:
    k4, k8 = (content_of(workspace / "data/students" / name) for name in ("k4", "k8"))
    promote(session=session, key=k4, alias="champion", because="first")
    protect(session=session, alias="champion", because="shipped", by="Ada")
    for refused in (
        lambda: promote(session=session, key=k8, alias="champion", because="better"),
        lambda: withdraw(session=session, alias="champion", because="worse"),
    ):
        with pytest.raises(UserError, match=r"alias 'champion' is protected \(Ada: shipped\); --force moves it"):
            refused()
    assert not promote(session=session, key=k4, alias="champion", because="still").is_forced
    moved = promote(session=session, key=k8, alias="champion", because="better", force=True)
    assert (moved.is_forced, moved.is_protected) == (True, True)
    protect(session=session, alias="champion", because="a trial", off=True)
    assert not promote(session=session, key=k4, alias="champion", because="back").is_forced
    texts = [event.text for event in history(session=session, key="champion")]
    assert texts[1] == f"champion -> {k4[:12]}, protected: shipped"
    assert texts[3] == f"champion -> {k8[:12]} by force, protected: better"
    with pytest.raises(UserError, match="no checkpoint has it"):
        protect(session=session, alias="nobody", because="x")


def test_tags_and_descriptions(session: Session, workspace: Path) -> None:
    k8 = content_of(workspace / "data/students/k8")
    for text in ("six steps", "six steps, for the demo"):
        describe(session=session, key=k8, text=text)
    for word in ("keep", "demo", "keep"):
        tag(session=session, key=k8, tag=word)
    shown = show(session=session, key=k8)
    assert (shown.tags, shown.description) == (["demo", "keep"], "six steps, for the demo")
    tag(session=session, key=k8, tag="keep", remove=True)
    assert show(session=session, key=k8).tags == ["demo"]
    assert [event.what for event in history(session=session, key=k8)][1:] == ["description"] * 2 + ["tag"] * 3 + [
        "untag"
    ]
    with pytest.raises(UserError, match=r"tag 'keep': \w{12} does not have it; there is demo"):
        tag(session=session, key=k8, tag="keep", remove=True)
    with pytest.raises(UserError, match="small letters"):
        tag(session=session, key=k8, tag="A tag")


HOOK = "import json, sys; open('told.jsonl', 'a').write(json.dumps(json.load(sys.stdin)) + chr(10)); sys.exit({status})"


def set_hook(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setenv("GPD_REGISTRY_HOOK", shlex.join(words))


def test_the_hook_gets_the_change_when_it_is_written(
    synced: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    k4, k8 = (content_of(workspace / "data/students" / name) for name in ("k4", "k8"))
    set_hook(monkeypatch, sys.executable, "-c", HOOK.format(status=0))
    evil = "$(touch gone); 'x' 良い"
    with open_registry(synced, writes=True) as session:
        promote(session=session, key=k4, alias="champion", because=evil, by="Ada")
        promote(session=session, key=k8, alias="champion", because=evil, by="Ada")
        remark(session=session, key=k8, text="no change of an alias")
        assert not Path("told.jsonl").exists()
    with pytest.raises(UserError):
        _promote_both(synced, k4, "nobody")
    told = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    assert [(one["alias"], one["before"], one["content"], one["name"]) for one in told] == [
        ("champion", None, k4, "k4"),
        ("champion", k4, k8, "k8"),
    ]
    assert (told[0]["because"], told[0]["made_by"], told[0]["is_forced"]) == (evil, "Ada", False)
    assert "password" not in told[0]["registry"]
    assert not Path("gone").exists()


def _promote_both(url: str, *keys: str) -> None:
    with open_registry(url, writes=True) as session:
        for key in keys:
            promote(session=session, key=key, alias="champion", because="in one transaction")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([sys.executable, "-c", HOOK.format(status=3)], "exit status 3 (it said nothing)"),
        (["no-such-command"], "No such file or directory"),
    ],
)
def test_a_hook_that_fails_is_reported_and_the_change_stays(
    synced_sqlite: Path,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    file = shutil.copy(synced_sqlite, "registry.db")
    set_hook(monkeypatch, *words)
    with open_registry(str(file), writes=True) as session:
        promote(session=session, key="k8", alias="champion", because="best")
    assert message in capsys.readouterr().err
    with open_registry(str(file)) as session:
        assert "champion" in current_aliases(session=session)


def test_a_hook_that_does_not_end_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hook, "MOST_SECONDS", 0.1)
    set_hook(monkeypatch, "sleep", "60")
    hook.run_hook({})
    assert "stopped after 0.1 s; the alias has changed all the same" in capsys.readouterr().err


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert whoami() == "unknown"


def test_an_alias_that_nobody_has(session: Session, workspace: Path) -> None:
    promote(session=session, key=content_of(workspace / "data/students/k8"), alias="champion", because="best")
    with pytest.raises(UserError, match="no checkpoint has it; did you mean champion"):
        withdraw(session=session, alias="champoin", because="x")


def test_times_are_utc_and_aware(session: Session, workspace: Path) -> None:
    run = history(session=session, key=content_of(workspace / "data/students/k8"))[0]
    assert run.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="has no time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), session.connection().dialect)


def test_what_happened_to_one_checkpoint_did_not_happen_to_another(session: Session, workspace: Path) -> None:
    promote(session=session, key="k8", alias="champion", because="best")
    promote(session=session, key="k4", alias="runner-up", because="next")
    for name, alias in (("k8", "champion"), ("k4", "runner-up"), ("k2", None)):
        events = history(session=session, key=content_of(workspace / "data/students" / name))
        promoted = [event.details["alias"] for event in events if event.what == "promotion"]
        assert promoted == ([alias] if alias else [])


def test_protection_ends_with_the_alias(session: Session, workspace: Path) -> None:
    words = {"session": session, "alias": "champion", "because": "x"}
    promote(key="k4", **words)
    assert protect(**words).is_protected
    gone = withdraw(**words, force=True)
    assert (gone.content, gone.is_forced, gone.is_protected) == (None, True, False)
    again = promote(key="k8", **words)
    assert (again.is_forced, again.is_protected) == (False, False)
    assert promote(key="k4", **words).content == content_of(workspace / "data/students/k4")


def test_what_the_hook_is_told_of(session: Session, workspace: Path) -> None:
    k4, k8 = (content_of(workspace / "data/students" / name) for name in ("k4", "k8"))
    words = {"session": session, "alias": "champion", "because": "x"}
    promote(key="k4", **words)
    promote(key="k8", **words)
    protect(**words)
    remark(session=session, key="k8", text="no change of an alias")
    withdraw(**words, force=True)
    told = session.info[hook.CHANGES]
    assert [(one["content"], one["name"], one["before"]) for one in told] == [
        (k4, "k4", None),
        (k8, "k8", k4),
        (None, None, k8),
    ]
    assert {one["made_by"] for one in told} == {getpass.getuser()}


def test_whoever_says_nothing_else_is_the_one_at_the_keyboard(session: Session, workspace: Path) -> None:
    assert remark(session=session, key="k8", text="x").made_by == getpass.getuser() == whoami()
    assert remark(session=session, key="k8", text="x", by="Ada").made_by == "Ada"
    assert remark(session=session, key="k8", text="x").kind == "remark"


def test_a_tag_of_another_is_not_taken_off(session: Session, workspace: Path) -> None:
    tag(session=session, key="k4", tag="keep")
    tag(session=session, key="k8", tag="demo")
    with pytest.raises(UserError, match=r"tag 'keep': \w{12} does not have it; there is demo$"):
        tag(session=session, key="k8", tag="keep", remove=True)
    assert tag(session=session, key="k4", tag="keep", remove=True).kind == "untag"
    assert show(session=session, key="k8").tags == ["demo"]


def test_an_alias_and_a_tag_begin_with_a_small_letter_and_have_at_most_64(session: Session, workspace: Path) -> None:
    for word in ("a" + "x" * 63, "a.b-c_1", "abc", "abcg"):
        tag(session=session, key="k8", tag=word)
        promote(session=session, key="k8", alias=word, because="x")
    for word in ("1a", "A", "a" + "x" * 64, "a/b", ".a"):
        for refused in (
            lambda word=word: tag(session=session, key="k8", tag=word),
            lambda word=word: promote(session=session, key="k8", alias=word, because="x"),
        ):
            with pytest.raises(UserError, match="small letters"):
                refused()
