"""Sync: twice is once, several at once are one, a rebuild is the same, a bad file stops no other."""

import json
import multiprocessing
import shutil
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from gpd.artifacts import UserError, write_json
from gpd.documents import KINDS
from gpd.registry import best, find_artifact, history, lineage, open_registry, print_answer, scores, show, sync
from tests.registry.conftest import (
    content_of,
    export,
    make_dvc_lock,
    make_evaluation,
    make_folder,
    make_run,
    make_student,
    subject_of,
)

NUM_DOCUMENTS = 17  # 8 manifests, 5 evaluations, 4 runs


def test_a_second_sync_changes_nothing(workspace: Path, empty_url: str) -> None:
    first = sync(url=empty_url)
    assert (first.num_new, first.num_known, first.problems) == (NUM_DOCUMENTS, 0, [])
    before = export(empty_url)
    second = sync(url=empty_url)
    assert (second.num_new, second.num_known, second.problems) == (0, NUM_DOCUMENTS, [])
    assert export(empty_url) == before


def test_whatever_a_stage_writes_below_data_is_recorded(workspace: Path, made_sqlite: Path) -> None:
    shutil.copy(made_sqlite, "registry.db")
    for kind in KINDS:
        make_folder(workspace / "data/new" / kind, kind=kind)
    for path in ("data/single", "data/a/b/deep", "data/.single.1.partial", "data/too/deep/to/look"):
        make_folder(workspace / path, kind="prompts")
    result = sync()
    assert (result.num_new, result.problems) == (NUM_DOCUMENTS + len(KINDS) + 2, [])
    with open_registry() as session:
        found = [find_artifact(key=content_of(workspace / "data/new" / kind), session=session) for kind in KINDS]
        assert [artifact.kind for artifact in found] == list(KINDS)


def test_both_databases_hold_the_same(workspace: Path, synced: str) -> None:
    sync(url="other.db")
    assert export(synced) == export("other.db")


def test_a_database_that_grew_with_the_work_is_the_one_rebuilt_from_nothing(workspace: Path, empty_url: str) -> None:
    kept = workspace.with_name("kept")
    shutil.copytree(workspace, kept)
    for gone in (
        "data/students/k4",
        "data/students/k8",
        "data/evaluations/k2",
        ".work/runs",
        "dvc.lock",
        "data/latents",
    ):
        path = workspace / gone
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    sync(url=empty_url)
    shutil.copytree(kept, workspace, dirs_exist_ok=True)
    sync(url=empty_url)
    sync(url="rebuilt.db")
    assert export(empty_url) == export("rebuilt.db")


def test_another_machine_records_the_same(workspace: Path) -> None:
    sync(url="here.db")
    there = workspace.with_name("there")
    shutil.copytree(workspace, there, ignore=shutil.ignore_patterns("*.db*"))
    sync(workspace=there, url="there.db")
    assert export("here.db") == export("there.db")


def test_eight_processes_at_once_are_as_one(workspace: Path, empty_url: str) -> None:
    for number in range(20):
        make_run(workspace, f"x{number}", None)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gpd.registry.sync"])
    processes = [context.Process(target=_sync_there, args=(str(workspace), empty_url)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    sync(url="alone.db")
    assert export(empty_url) == export("alone.db")


def _sync_there(workspace: str, url: str) -> None:
    assert not sync(workspace=Path(workspace), url=url).problems


def test_memory_does_not_grow_with_the_number_of_documents(workspace: Path) -> None:
    student = workspace / "data/students/k8"

    def peak(first: int, end: int, url: str) -> int:
        for number in range(first, end):
            make_evaluation(
                workspace, f"x{number}", {"k8": subject_of(student, error=number / 7, steps=6)}, shift=number
            )
        sync(url=url)  # what is imported and cached once is not counted
        tracemalloc.start()
        sync(url=url)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(0, 40, "few.db"), peak(40, 110, "many.db")
    assert many < few * 1.25


def test_a_retrained_student_is_another_checkpoint(workspace: Path, synced: str) -> None:
    old = content_of(workspace / "data/students/k8")
    make_student(workspace, "k8", 8, workspace / "data/students/k4", text="trained again")
    sync(url=synced)
    with open_registry(synced) as session:
        new = find_artifact(key="k8", session=session, workspace=workspace).content
        assert new != old
        assert show(session=session, key=old).locations[0]["path"] == "data/students/k8"
        assert best(session=session, steps=6).winners[0].content == old  # the new one is not measured yet


def test_new_results_take_the_place_of_old_ones(workspace: Path, synced: str) -> None:
    student = workspace / "data/students/k8"
    make_evaluation(workspace, "k8", {"k8": subject_of(student, error=0.9, steps=6)})
    assert sync(url=synced).num_new == 1
    with open_registry(synced) as session:
        assert best(session=session, steps=6).winners[0].value == 0.9
        values = {score.value for score in scores(session=session, content=content_of(student))}
        assert 0.0625 not in values
    make_evaluation(workspace, "k8", {"k8": subject_of(student, error=0.0625, steps=6)})
    sync(url=synced)
    with open_registry(synced) as session:
        assert best(session=session, steps=6).winners[0].value == 0.0625


def test_changed_settings_of_the_same_bytes_are_the_current_ones(workspace: Path, synced: str) -> None:
    facts = {"name": "renamed", "repository": "org/wan", "revision": "r1"}
    make_folder(workspace / "data/tiny-wan", kind="base", facts=facts, params={"new": True})
    sync(url=synced)
    with open_registry(synced) as session:
        shown = show(session=session, key=content_of(workspace / "data/tiny-wan"))
        assert (shown.name, shown.params) == ("renamed", {"new": "true"})
        student = show(session=session, key=content_of(workspace / "data/students/k1"))
        assert student.base == {"content": shown.content, **facts}


def test_metrics_come_with_git_before_the_checkpoints_are_pulled(workspace: Path) -> None:
    sync(url="whole.db")
    students = workspace / "data/students"
    students.rename(workspace / "elsewhere")
    sync(url="registry.db")
    with open_registry() as session:
        assert best(session=session, steps=6).winners[0].paths == []
    (workspace / "elsewhere").rename(students)  # dvc pull
    sync(url="registry.db")
    assert export("registry.db") == export("whole.db")


def test_a_folder_pulled_in_part_is_known_but_not_there(workspace: Path) -> None:
    content = content_of(workspace / "data/students/k8")
    (workspace / "data/students/k8/part/weights.txt").unlink()
    sync()
    with open_registry() as session:
        shown = show(session=session, key=content)
        assert (shown.is_known, shown.locations) == (True, [])


def test_dvc_hash_is_kept_only_while_it_means_the_same_files(workspace: Path) -> None:
    def md5() -> Any:
        sync()
        with open_registry() as session:
            content = find_artifact(key="k8", session=session, workspace=workspace).content
            return show(session=session, key=content).locations[0]["dvc_md5"]

    assert md5() == "0000000000000000000000000000k8.dir"
    make_student(workspace, "k8", 8, workspace / "data/students/k4", text="trained again, not by DVC")
    assert md5() is None
    make_dvc_lock(workspace)
    assert md5() == "0000000000000000000000000000k8.dir"


def test_failed_runs_and_flow_runs_are_kept(workspace: Path, synced: str) -> None:
    command = ["gpd", "registry", "sync", "--url", "postgresql://me:secret@there/db"]
    make_run(workspace, "k9", None, exit_code=1, error="ValueError: at ftp://me:secret@there", command=command)
    make_run(workspace, "k8", workspace / "data/students/k8", flow_run_id="f-1")
    sync(url=synced)
    with open_registry(synced) as session:
        told = [event for event in history(session=session) if event.what == "run"]
        assert "distill@k9 failed (ValueError: at ftp://me:***@there)" in [event.text for event in told]
        mine = history(session=session, key=content_of(workspace / "data/students/k8"))
        assert {event.details["flow_run_id"] for event in mine} == {None, "f-1"}
    assert "secret" not in "".join(export(synced))


def test_a_real_server_is_named_without_the_password_of_its_query(
    workspace: Path, empty_postgresql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = sync(url=f"{empty_postgresql}&password=pa55w0rd&sslpassword=pa55w0rd")
    assert result.num_problems == 0
    assert "password=***" in result.url
    assert "pa55w0rd" not in result.url
    print_answer(result, False, f"registry: {result.url}")
    assert "pa55w0rd" not in capsys.readouterr().out


def test_text_of_any_kind_is_kept_as_it_is(workspace: Path, synced: str) -> None:
    odd = "quote ' \" -- ; DROP TABLE artifact; \n\t \\ {} %s :x 良い العربية 🎬"
    make_folder(workspace / "data/students/odd", kind="base", facts={"name": odd}, params={odd: odd})
    sync(url=synced)
    with open_registry(synced) as session:
        shown = show(session=session, key=find_artifact(key=odd, session=session).content)
        assert shown.params == {odd: odd}


def test_text_that_no_database_holds_is_replaced(workspace: Path, synced: str) -> None:
    record = make_run(workspace, "k9", None, exit_code=1)
    path = workspace / ".work/runs" / f"{record['id']}.json"
    path.write_text(path.read_text().replace('"error": null', '"error": "nul \\u0000, half a pair \\ud83c."'))
    assert not sync(url=synced).problems
    with open_registry(synced) as session:
        assert any("nul \ufffd, half a pair \ufffd." in event.text for event in history(session=session))


def _break(change: dict[str, Any]) -> Any:
    def broken(path: Path) -> None:
        value = json.loads(path.read_text())
        value.pop("seal", None)  # earlier versions had none
        for key, new in change.items():
            *before, last = key.split("/")
            inner = value
            for name in before:
                inner = inner[name]
            inner[last] = new
        write_json(path, value)

    return broken


MANIFEST, EVALUATION = "data/students/k4/manifest.json", "data/evaluations/k4/evaluation.json"
METRIC = "subjects/k4/metrics/trajectory_error"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        (MANIFEST, _break({"format": 2}), "format 2 is newer than this gpd reads (1); update gpd"),
        (MANIFEST, _break({"content": "0" * 64}), "content 000000000000 is not the hash of the files listed"),
        (MANIFEST, _break({"inputs/teacher/content": "short"}), "='short'"),
        (MANIFEST, _break({"facts/horizon": -1}), "horizon=-1"),
        (MANIFEST, _break({"facts/stage": "../x"}), "facts.stage='../x'"),
        (MANIFEST, _break({"facts/stage": "k4\nk8"}), r"facts.stage='k4\nk8'"),
        (MANIFEST, _break({"facts/horizon": 10**30}), "horizon=1000000000"),
        (MANIFEST, _break({"facts/forwards": {"teacher": "many"}}), "facts.forwards.teacher='many'"),
        (MANIFEST, _break({"inputs": []}), "inputs=[]"),
        (MANIFEST, _break({"kind": "movie"}), "kind is 'movie'"),
        (MANIFEST, lambda path: path.write_text("{"), "not readable as JSON"),
        (MANIFEST, lambda path: path.write_bytes(b"\xff\xfe\xff"), "not readable as JSON"),
        (MANIFEST, lambda path: path.write_text("[]"), "key 'format' is missing"),
        (MANIFEST, lambda path: path.write_text("[" * 100_000), "not"),
        (EVALUATION, _break({"format": 7}), "format 7 is newer"),
        (EVALUATION, _break({"protocol/shift": 3.0}), "is not the hash of the protocol beside it"),
        (EVALUATION, _break({f"{METRIC}/direction": "up"}), "direction='up'"),
        (EVALUATION, _break({f"{METRIC}/value": "good"}), "value='good'"),
        (EVALUATION, _break({f"{METRIC}/value": "-1.5"}), "value='-1.5'"),
        (EVALUATION, _break({f"{METRIC}/value": True}), "value=True"),
        (EVALUATION, _break({f"{METRIC}/num_samples": -1}), "num_samples=-1"),
        (EVALUATION, _break({"subjects/k4/checkpoint": None}), "checkpoint=None"),
        ("dvc.lock", lambda path: path.write_text("a: ["), "dvc.lock: not readable"),
        ("dvc.lock", lambda path: path.write_text("[1]"), "dvc.lock: not readable"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_stops_no_other(
    workspace: Path, made_sqlite: Path, file: str, damage: Any, message: str
) -> None:
    shutil.copy(made_sqlite, "registry.db")
    damage(workspace / file)
    result = sync()
    assert result.num_problems == 1
    (line,) = result.problems
    assert line.removeprefix(f"{workspace}/").startswith(file)
    assert message in line
    assert "\n" not in line
    assert result.num_new == NUM_DOCUMENTS - (file != "dvc.lock")
    with open_registry() as session:
        assert best(session=session, steps=6).winners[0].name == "k8"
        found = lineage(session=session, key=content_of(workspace / "data/students/k8"))
        assert (len(found.nodes) == 7) or file == MANIFEST


def test_a_half_written_evaluation_records_nothing(workspace: Path) -> None:
    student = workspace / "data/students/k4"
    broken = {"good": subject_of(student, error=0.1, steps=12), "bad": subject_of(student, error=[], steps=24)}
    make_evaluation(workspace, "k4", broken)
    sync()
    with open_registry() as session:
        assert scores(session=session, content=content_of(student)) == []


def test_no_params_no_registry(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params.yaml: no such file"):
        sync(workspace=tmp_path, url=f"{tmp_path}/registry.db")
    assert not list(tmp_path.iterdir())


def test_problems_are_counted_and_the_first_are_told(
    made_sqlite: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        path = workspace / f"data/evaluations/{name}/evaluation.json"
        path.parent.mkdir(parents=True)
        path.write_text("{")
    url = str(shutil.copy(made_sqlite, "registry.db"))
    result = sync(workspace=workspace, url=url)
    assert (result.num_problems, len(result.problems)) == (2, 2)
    assert all("evaluation.json" in line for line in result.problems)
    monkeypatch.setattr(sys.modules["gpd.registry.sync"], "PROBLEMS_KEPT", 1)
    again = sync(workspace=workspace, url=url)
    assert (again.num_problems, again.problems) == (2, result.problems[:1])


def test_of_many_problems_the_first_are_kept_however_many_are_read_at_once(
    made_sqlite: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("k1", "k2", "k4"):
        (workspace / f"data/evaluations/{name}/evaluation.json").write_text("{")
    module = sys.modules["gpd.registry.sync"]
    monkeypatch.setattr(module, "DOCUMENTS_AT_ONCE", 2)
    monkeypatch.setattr(module, "PROBLEMS_KEPT", 2)
    result = sync(url=str(shutil.copy(made_sqlite, "registry.db")))
    assert (result.num_new, result.num_known, result.num_problems) == (NUM_DOCUMENTS - 3, 0, 3)
    assert [line.split("/")[-2] for line in result.problems] == ["k1", "k2"]
