"""The questions one by one, on a registry that nobody changes, and on rows made for a question."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from gpd.artifacts import UserError, hash_json
from gpd.registry import (
    best,
    compare,
    describe,
    find_artifact,
    find_checkpoint,
    history,
    list_checkpoints,
    open_registry,
    promote,
    remark,
    scores,
    show,
    sync,
    tag,
)
from gpd.registry import tables as t
from gpd.registry.answers import make_answer
from gpd.registry.best import Measured, _warning
from gpd.registry.engine import make_engine, registry_url, writing
from gpd.registry.finding import begins_with, description_of
from gpd.registry.lineage import lineage
from gpd.registry.protocols import choose_protocol, find_protocol
from gpd.registry.questions import _metric_rows, params_of, relatives
from gpd.registry.recording import insert_missing
from tests.registry.conftest import content_of, make_evaluation, make_run, make_student, subject_of


@pytest.fixture
def read(synced_sqlite: Path) -> Iterator[Session]:
    with open_registry(str(synced_sqlite)) as session:
        yield session


@pytest.fixture
def own(made_sqlite: Path, tmp_path: Path) -> str:
    """The URL of an empty registry of the test's own."""
    (tmp_path / "own.db").write_bytes(made_sqlite.read_bytes())
    return str(tmp_path / "own.db")


def put(url: str, model: type[Any], *rows: dict[str, Any]) -> None:
    with writing(make_engine(registry_url(url))) as connection:
        insert_missing(connection, model, [t.checked(model, **row).model_dump() for row in rows])


def key(session: Session, name: str) -> str:
    return find_artifact(key=name, session=session).content


# --- lists


def test_a_list_is_cut_where_the_limit_is_and_says_so(read: Session) -> None:
    names = [row.name for row in list_checkpoints(session=read)]
    assert names == ["tiny-wan", "k1", "k2", "k4", "k8"]
    for limit in range(1, 7):
        found = list_checkpoints(session=read, limit=limit)
        assert [row.name for row in found] == names[:limit]
        assert found.is_cut == (limit < 5)


def test_a_list_by_role_and_by_steps(read: Session) -> None:
    assert [row.name for row in list_checkpoints(session=read, role="base")] == ["tiny-wan"]
    assert [row.name for row in list_checkpoints(session=read, role="student", steps=12)] == ["k4"]
    (k8,) = list_checkpoints(session=read, steps=6)
    assert (k8.role, k8.horizon, k8.sampling_steps, k8.forwards, k8.heads) == ("student", 8, 6, 610, None)
    assert (k8.aliases, k8.tags, k8.description, k8.paths) == ([], [], None, ["data/students/k8"])


def test_a_list_has_what_people_said_of_each_and_of_no_other(session: Session, workspace: Path) -> None:
    for name, alias in (("k8", "champion"), ("k4", "next")):
        promote(session=session, key=name, alias=alias, because="x")
        tag(session=session, key=name, tag=f"of-{name}")
        describe(session=session, key=name, text=f"this is {name}")
        remark(session=session, key=name, text="no description")
    rows = {row.name: row for row in list_checkpoints(session=session)}
    assert (rows["k8"].aliases, rows["k8"].tags, rows["k8"].description) == (["champion"], ["of-k8"], "this is k8")
    assert (rows["k4"].aliases, rows["k4"].tags, rows["k4"].description) == (["next"], ["of-k4"], "this is k4")
    assert (rows["k2"].aliases, rows["k2"].tags, rows["k2"].description) == ([], [], None)
    shown = show(session=session, key="k4")
    assert (shown.aliases, shown.tags, shown.description) == (["next"], ["of-k4"], "this is k4")


def test_incomplete_and_replaced_measurements_match_no_condition(workspace: Path, synced_sqlite: Path) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    k4, k8 = (workspace / "data/students" / name for name in ("k4", "k8"))
    hasty = subject_of(k4, error=0.0001, steps=12, num_samples=7, solver="hasty")
    make_evaluation(workspace, "hasty", {"k4": hasty})
    make_evaluation(workspace, "k8", {"k8": subject_of(k8, error=0.9, steps=6)})  # in the place of 0.0625
    sync(url=url)
    with open_registry(url) as session:
        assert [row.name for row in list_checkpoints(session=session, where=["trajectory_error < .1"])] == ["tiny-wan"]
        assert [row.name for row in list_checkpoints(session=session, where=["trajectory_error > .8"])] == ["k8"]


# --- one of them


def test_all_that_is_recorded_of_one(read: Session) -> None:
    shown = show(session=read, key="k8")
    assert (shown.kind, shown.name, shown.is_known, shown.num_files) == ("student", "k8", True, 2)
    assert shown.checkpoint is not None
    assert (shown.checkpoint["horizon"], shown.facts["stage"]) == (8, "k8")
    assert shown.base == {"content": key(read, "tiny-wan"), "name": "tiny-wan", "repository": None, "revision": None}
    assert [(one["relation"], one["name"]) for one in shown.parents] == [
        ("latents", "latents"),
        ("previous", "k4"),
        ("teacher", "tiny-wan"),
    ]
    assert shown.children == []
    assert {(one["relation"], one["name"]) for one in show(session=read, key="k4").children} == {("previous", "k8")}
    assert [(place["path"], place["dvc_md5"]) for place in shown.locations] == [
        ("data/students/k8", f"{'k8':0>30}.dir")
    ]
    assert [(one.metric, one.value) for one in shown.scores] == [
        ("motion_ratio", 1 + 1 / 6),
        ("psnr", 20.6),
        ("trajectory_error", 0.0625),
    ]
    assert {one.setting for one in shown.scores} == {"6 steps euler w=1"}
    assert shown.params == params_of(shown.content, read) != params_of(key(read, "k4"), read)
    assert shown.params["horizon"] == "8.0"
    assert [event.text for event in shown.events] == ["distill@k8 finished"]
    data = show(session=read, key="latents")
    assert (data.checkpoint, data.base, data.scores, data.params) == (None, None, [], {})


def test_one_that_was_never_seen_is_shown_as_far_as_others_say(own: str) -> None:
    put(own, t.Artifact, {"content": "f" * 64, "kind": t.UNKNOWN}, {"content": "e" * 64, "kind": "student"})
    put(own, t.Lineage, {"child": "e" * 64, "relation": "previous", "parent": "f" * 64, "parent_kind": "student"})
    with open_registry(own) as session:
        shown = show(session=session, key="ffff")
        assert (shown.is_known, shown.facts, shown.checkpoint) == (False, {}, None)
        assert [one["kind"] for one in relatives("e" * 64, session, upwards=True)] == ["student"]  # as the child said
        assert [one["kind"] for one in shown.children] == ["student"]


def test_the_latest_description_counts(session: Session, workspace: Path) -> None:
    for text in ("first", "second", "third"):
        describe(session=session, key="k8", text=text)
    describe(session=session, key="k4", text="of another")
    assert description_of(key(session, "k8"), session) == "third"
    assert description_of(key(session, "k2"), session) is None


def test_scores_are_of_one_checkpoint_in_the_order_of_metrics(read: Session) -> None:
    for name, steps in (("k1", 48), ("k2", 24), ("k4", 12)):
        found = scores(session=read, content=key(read, name))
        assert [one.metric for one in found] == ["motion_ratio", "psnr", "trajectory_error"]
        assert {(one.steps, one.name) for one in found} == {(steps, name)}


# --- history


def test_history_is_of_one_alias_of_one_artifact_or_of_all_oldest_first(workspace: Path, synced_sqlite: Path) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    make_run(workspace, "k8", workspace / "data/students/k8", exit_code=1, error="no room", started=_time(9))
    sync(url=url)
    with open_registry(url, writes=True) as session:
        for name in ("k4", "k8", "k4"):
            promote(session=session, key=name, alias="champion", because=f"for {name}")
        promote(session=session, key="k2", alias="other", because="aside")
        remark(session=session, key="k8", text="a word", by="Ada")
        of_alias = history(session=session, key="champion")
        assert [event.details["because"] for event in of_alias] == ["for k4", "for k8", "for k4"]
        assert [event.details["because"] for event in history(session=session, key="champion", limit=2)] == [
            "for k8",
            "for k4",
        ]
        of_one = history(session=session, key="k8")
        assert [event.what for event in of_one] == ["run", "run", *["promotion"] * 3, "remark"]
        assert [event.text for event in of_one][:2] == ["distill@k8 finished", "distill@k8 failed (no room)"]
        assert (of_one[-1].who, of_one[-1].text, of_one[-1].content) == ("Ada", "a word", key(session, "k8"))
        assert of_one[0].details["stage"] == "distill@k8"
        whole = history(session=session)
        assert len(whole) == 4 + 1 + 4 + 1
        assert [event.at for event in whole] == sorted(event.at for event in whole)
        assert history(session=session, limit=3) == whole[-3:]


def _time(minute: int) -> str:
    return (datetime(2026, 1, 2, 3, tzinfo=UTC) + timedelta(minutes=minute)).isoformat(timespec="milliseconds")


# --- two side by side


def test_two_sampled_in_one_way_stand_side_by_side(read: Session) -> None:
    found = compare(session=read, a="k4", b="k8")
    protocol = best(session=read, steps=6).protocol[:12]
    assert (found.a, found.b) == (key(read, "k4"), key(read, "k8"))
    assert found.metrics == {
        f"{protocol} sampled with": ("12 steps euler w=1", "6 steps euler w=1"),
        f"{protocol} motion_ratio": (1 + 1 / 12, 1 + 1 / 6),
        f"{protocol} psnr": (21.2, 20.6),
        f"{protocol} trajectory_error": (0.125, 0.0625),
    }
    assert found.params["horizon"] == ("4.0", "8.0")
    assert found.params["guidance.start"] == ("6.0", "6.0")
    assert found.data["previous"] == (key(read, "k2"), key(read, "k4"))
    assert found.data["teacher"] == (key(read, "tiny-wan"),) * 2
    assert found.code["git_commit"] == ("e" * 40, "e" * 40)
    params = {name: show(session=read, key=name).params for name in ("k4", "k8")}
    assert found.code["params"] == tuple(hash_json(params[name])[:12] for name in ("k4", "k8"))


def test_one_sampled_in_several_ways_has_the_way_in_each_row(read: Session) -> None:
    found = compare(session=read, a="tiny-wan", b="k8")
    protocol = best(session=read, steps=6).protocol[:12]
    assert found.metrics[f"{protocol} 6 steps euler w=5 trajectory_error"] == (0.01, None)
    assert found.metrics[f"{protocol} 6 steps unipc w=5 trajectory_error"] == (0.3, None)
    assert found.metrics[f"{protocol} 6 steps euler w=1 trajectory_error"] == (None, 0.0625)
    assert not any("sampled with" in name for name in found.metrics)
    assert found.code["git_commit"] == (None, "e" * 40)
    assert found.data["latents"][0] is None


def test_what_made_one_last_is_its_code_and_a_failed_run_is_not(workspace: Path, synced_sqlite: Path) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    k8 = workspace / "data/students/k8"
    for minute, commit, status in ((5, "a", 0), (7, "b", 0), (9, "c", 1)):
        git = {"commit": commit * 40, "is_dirty": False}
        make_run(workspace, "k8", k8, started=_time(minute), git=git, exit_code=status)
    sync(url=url)
    with open_registry(url) as session:
        assert compare(session=session, a="k8", b="k8").code["git_commit"] == ("b" * 40, "b" * 40)


# --- keys


def test_keys_that_begin_alike(own: str) -> None:
    contents = [f"abcd{digit}" + "0" * 59 for digit in "0123456"]
    put(own, t.Artifact, *({"content": one, "kind": "student"} for one in contents))
    with open_registry(own) as session:
        with pytest.raises(
            UserError, match=r"ambiguous: abcd00000000 \(student\), .*abcd40000000 \(student\), \.\.\.$"
        ):
            find_artifact(key="abcd", session=session)
        with pytest.raises(UserError, match="not an alias, hash or name"):
            find_artifact(key="abc", session=session)  # three digits are a word
        for content in contents:
            assert find_artifact(key=content[:5], session=session).content == content
            assert find_artifact(key=content, session=session).content == content
        with pytest.raises(UserError, match="not an alias, hash or name"):
            find_artifact(key="abcd7", session=session)


def test_a_range_of_hashes_is_what_begins_so(own: str) -> None:
    from sqlmodel import select

    contents = ["ab" + "0" * 62, "ab" + "f" * 62, "ac" + "0" * 62, "aa" + "f" * 62]
    put(own, t.Artifact, *({"content": one, "kind": "student"} for one in contents))
    with open_registry(own) as session:
        for digits in ("ab", "AB", "ab" + "0" * 62):
            found = set(session.exec(select(t.Artifact.content).where(begins_with(t.Artifact.content, digits))))
            assert found == {one for one in contents if one.startswith(digits.lower())}


def test_a_wrong_kind_is_passed_over_where_another_fits(own: str) -> None:
    put(
        own,
        t.Artifact,
        {"content": "abcd0" + "0" * 59, "kind": "latents"},
        {"content": "abcd1" + "0" * 59, "kind": "base"},
    )
    with open_registry(own) as session:
        assert find_artifact(key="abcd", session=session, kinds=("base",)).kind == "base"
        with pytest.raises(UserError, match="is of kind latents, not a checkpoint"):
            find_artifact(key="abcd", session=session, kinds=("student",))
        with pytest.raises(UserError, match="ambiguous"):
            find_artifact(key="abcd", session=session)


def test_what_best_has_to_say_is_said_by_what_uses_it(
    workspace: Path, synced_sqlite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    with open_registry(url) as session:
        find_checkpoint("best:6", session=session)
        assert capsys.readouterr().err == ""
    other = make_student(workspace, "other", 8, workspace / "data/students/k4", text="other")
    make_evaluation(workspace, "other", {"other": subject_of(other, error=0.2, steps=6)}, shift=3.0)
    sync(url=url)
    with open_registry(url) as session:
        assert find_checkpoint("best:6", session=session).name == "k8"
        said = capsys.readouterr().err
        assert said.startswith("gpd: best:6: protocol ")
        assert "best:6@PROTOCOL chooses another" in said
        named = find_checkpoint(f"best:6:psnr@{said.split(': ')[-1][:12]}", session=session)
        assert (named.name, capsys.readouterr().err) == ("other", "")
        assert content_of(other) == named.content


# --- protocols


def _protocols(url: str, number: int) -> list[str]:
    hashes = [f"abcd{digit}" + "0" * 59 for digit in range(number)]
    put(url, t.Protocol, *({"hash": one, "num_prompts": 1, "seeds": [0], "fields": {}} for one in hashes))
    return hashes


def test_protocols_that_begin_alike(own: str) -> None:
    hashes = _protocols(own, 7)
    with open_registry(own) as session:
        assert find_protocol(key="abcd3", session=session).hash == hashes[3]
        with pytest.raises(UserError, match=r"'abcd' is ambiguous: abcd00000000, .*abcd40000000, \.\.\.$"):
            find_protocol(key="abcd", session=session)
        with pytest.raises(UserError, match="not in the registry; did you mean abcd60000000"):
            find_protocol(key="abcd60000001", session=session)


def test_a_protocol_under_which_all_of_some_metrics_were_measured(workspace: Path, synced_sqlite: Path) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    subject = subject_of(workspace / "data/students/k8", error=0.5, steps=6)
    subject["metrics"] = {"sharpness": subject["metrics"]["psnr"]}
    make_evaluation(workspace, "sharp", {"k8": subject}, shift=9.0)
    sync(url=url)
    with open_registry(url) as session:
        usual = best(session=session, steps=6).protocol
        sharp = scores(session=session, content=content_of(workspace / "data/students/k8"))
        other = next(one.protocol for one in sharp if one.metric == "sharpness")
        assert choose_protocol(None, ["psnr", "trajectory_error"], session, workspace) == (usual, None)
        assert choose_protocol(None, ["sharpness"], session, workspace) == (other, None)
        assert choose_protocol(None, ["sharpness", "psnr"], session, workspace) == (
            None,
            "no protocol has all of these metrics",
        )
        assert choose_protocol(other[:12], ["psnr"], session, workspace) == (other, None)


def test_an_evaluation_that_cannot_be_read_hides_no_other_of_this_workspace(
    workspace: Path, synced_sqlite: Path
) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    for number in range(3):
        make_evaluation(
            workspace, f"z{number}", {"k8": subject_of(workspace / "data/students/k8", error=1, steps=6)}, shift=2.0
        )
    sync(url=url)
    for name in ("k1", "k2", "k4", "teacher"):  # which leaves two of the usual protocol, k8's and a damaged one
        (workspace / f"data/evaluations/{name}/evaluation.json").unlink()
    (workspace / "data/evaluations/k1/evaluation.json").write_text("{")
    (workspace / "data/evaluations/k2/evaluation.json").write_text("[1]")
    with open_registry(url) as session:
        found = best(session=session, steps=6)
        assert (found.winners[0].value, str(found.note).count("workspace's evaluations")) == (1.0, 1)


# --- lineage


def test_a_lineage_is_cut_where_the_limit_is_and_says_so(read: Session) -> None:
    whole = lineage(session=read, key="k4")
    edges = len(whole.edges)
    assert not lineage(session=read, key="k4", limit=edges).is_cut
    assert lineage(session=read, key="k4", limit=edges) == whole
    cut = lineage(session=read, key="k4", limit=edges - 1)
    assert (len(cut.edges), cut.is_cut) == (edges - 1, True)


def test_the_edges_of_one_begin_with_what_it_was_made_from(read: Session) -> None:
    found = lineage(session=read, key="k8")
    own = [edge.relation for edge in found.edges if edge.child == found.root]
    assert own == ["previous", "teacher", "latents"]
    assert [edge.relation for edge in found.edges][:4] == ["previous"] * 4
    node = found.nodes[found.root]
    assert (node.kind, node.name, node.is_known, node.forwards, node.sampling_steps) == ("student", "k8", True, 610, 6)
    assert found.nodes[key(read, "latents")].forwards is None
    assert found.direction == "up"
    assert lineage(session=read, key="latents", down=True).direction == "down"


def test_more_artifacts_than_a_statement_may_name(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [hash_json(number) for number in range(12)]
    put(own, t.Artifact, *({"content": one, "kind": "student"} for one in chain))
    edges = pairwise(chain)
    put(
        own, t.Lineage, *({"child": a, "relation": "previous", "parent": b, "parent_kind": "student"} for a, b in edges)
    )
    monkeypatch.setattr(sys.modules["gpd.registry.lineage"], "AT_ONCE", 5)
    with open_registry(own) as session:
        assert set(lineage(session=session, key=chain[0]).nodes) == set(chain)


# --- by hand


def measured(metric: str = "m", **values: Any) -> Measured:
    """A measurement of a student; what is not told does not matter."""
    told = {"content": "a" * 64, "name": "k8", "metric": metric, "value": 1.0, "steps": 6, "solver": "euler"}
    return make_answer(Measured, **(told | {"guidance_scale": 1.0, "heads": None, "protocol": "p"} | values))


def test_metrics_of_one_way_have_the_way_beside_them() -> None:
    assert _metric_rows("p", [measured("a")], True) == {"p sampled with": "6 steps euler w=1", "p a": 1.0}
    assert _metric_rows("p", [measured("a")], False) == {"p 6 steps euler w=1 a": 1.0}


def test_whoever_is_not_exported_as_it_is_is_named() -> None:
    assert _warning([measured(), measured()], False) is None
    for is_left_out, advice in ((False, "--exportable leaves it out"), (True, "left out, though it is better")):
        said = str(_warning([measured(), measured(heads=4, content="b" * 64)], is_left_out))
        assert said.startswith(f"{'b' * 12} (k8, heads=4) is not exported as it is")
        assert said.endswith(f"; {advice}")


def test_one_made_here_comes_before_one_fetched(workspace: Path, synced_sqlite: Path) -> None:
    url = str(workspace / "it.db")
    Path(url).write_bytes(synced_sqlite.read_bytes())
    made = make_student(workspace, "k8", 8, workspace / "data/students/k4", text="of others")
    theirs = workspace / "data/fetched/k8-0123"
    theirs.parent.mkdir()
    made.rename(theirs)
    sync(url=url)
    with open_registry(url) as session:
        assert find_artifact(key="k8", session=session).content == content_of(theirs)  # the only one here
    ours = make_student(workspace, "k8", 8, workspace / "data/students/k4")
    with open_registry(url) as session:
        assert find_artifact(key="k8", session=session).content == content_of(ours)


def test_a_checkpoint_in_its_place_is_found_without_a_word(
    workspace: Path, synced_sqlite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_registry(str(synced_sqlite)) as session:
        for spec in ("k8", "best:6"):
            assert find_checkpoint(spec, session=session).path == Path("data/students/k8")
    assert capsys.readouterr().err == ""
