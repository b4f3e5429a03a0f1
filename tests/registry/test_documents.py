"""Documents as rows, by hand: what is counted, what is refused, what a setting is compared by."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from gpd.artifacts import UserError, hash_json, write_json
from gpd.documents import load_json
from gpd.params import load_params
from gpd.registry import documents
from gpd.registry import tables as t
from gpd.registry.documents import Document, comparable, evaluation_rows, read_dvc_lock, read_workspace
from tests.registry.conftest import content_of, make_evaluation, make_folder, make_student, score, subject_of

K8 = Path("data/students/k8")


def read(workspace: Path) -> list[Document]:
    return list(read_workspace(workspace, load_params(workspace / "params.yaml").model.path))


def rows(workspace: Path, model: type[Any]) -> list[dict[str, Any]]:
    return [row for document in read(workspace) for row in document.rows.get(model, [])]


@pytest.mark.parametrize(
    ("value", "text"),
    [(8, "8.0"), (8.0, "8.0"), ("8", "8"), (True, "true"), (None, "null"), ([2, 1], "[2, 1]"), (["é"], '["é"]')],
)
def test_settings_are_compared_by_text(value: Any, text: str) -> None:
    assert comparable(value) == text


def test_settings_in_another_order_are_the_same() -> None:
    assert comparable([{"b": 1, "a": 2}]) == comparable([{"a": 2, "b": 1}]) == '[{"a": 2, "b": 1}]'


def test_an_artifact_has_the_sizes_of_its_files_and_the_name_of_its_facts(workspace: Path) -> None:
    found = {row["content"]: row for row in rows(workspace, t.Artifact)}
    k8, base = found[content_of(workspace / K8)], found[content_of(workspace / "data/tiny-wan")]
    sizes = [len("the bytes of k8"), len("two files")]
    assert (k8["name"], k8["kind"], k8["num_files"], k8["size_bytes"]) == ("k8", "student", 2, sum(sizes))
    assert k8["manifest_hash"] == hash_json(load_json(workspace / K8 / "manifest.json", ""))
    assert base["name"] == "tiny-wan"
    assert {row["name"] for row in found.values()} >= {"prompts", "latents", "report"}  # of what has no name: the kind


def test_a_student_s_base_is_its_teacher_and_a_base_model_s_is_itself(workspace: Path) -> None:
    teacher = content_of(workspace / "data/tiny-wan")
    make_folder(workspace / "data/students/orphan", kind="student", facts={"stage": "orphan"})
    found = {row["content"]: row for row in rows(workspace, t.Checkpoint)}
    assert found[teacher]["base"] == teacher
    assert found[content_of(workspace / K8)]["base"] == teacher
    assert found[content_of(workspace / "data/students/orphan")]["base"] is None
    k8 = found[content_of(workspace / K8)]
    assert (k8["forwards"], k8["forwards_by_role"]["teacher"], k8["horizon"]) == (610, 200, 8)
    assert found[teacher]["forwards"] is None
    assert len(found) == 6  # no data


def test_settings_that_hold_none_are_none(workspace: Path) -> None:
    make_folder(workspace / "data/students/x", kind="base", facts={"name": "x"}, params={"a": {}, "b": {"c": 1}})
    mine = [row for row in rows(workspace, t.Param) if row["content"] == content_of(workspace / "data/students/x")]
    assert [(row["key"], row["value"]) for row in mine] == [("b.c", "1.0")]


def test_a_place_counts_while_all_files_are_there_in_their_sizes(workspace: Path) -> None:
    def has_place() -> bool:
        return content_of(workspace / K8) in {row["content"] for row in rows(workspace, t.Location)}

    assert has_place()
    weights = workspace / K8 / "part/weights.txt"
    weights.write_text("longer than before, by far")
    assert not has_place()
    weights.write_text("x" * len("the bytes of k8"))
    assert has_place()  # its bytes are for `verify`
    weights.unlink()
    assert not has_place()


def test_dvc_s_hash_is_of_as_many_files_and_bytes_or_not_this_folder_s(workspace: Path) -> None:
    lock = workspace / "dvc.lock"
    whole = lock.read_text()

    def md5() -> str | None:
        (found,) = (row["dvc_md5"] for row in rows(workspace, t.Location) if row["path"] == K8.as_posix())
        return None if found is None else str(found)

    assert md5() == f"{'k8':0>30}.dir"
    size = sum(path.stat().st_size for path in (workspace / K8).rglob("*") if path.is_file())
    for wrong in (whole.replace("nfiles: 3", "nfiles: 2"), whole.replace(f"size: {size}", f"size: {size + 1}")):
        assert wrong != whole
        lock.write_text(wrong)
        assert md5() is None


@pytest.mark.parametrize("text", ["", "stages:\n  a:\n    cmd: x\n", "schema: '2.0'\n"])
def test_a_dvc_lock_without_outputs(tmp_path: Path, text: str) -> None:
    assert read_dvc_lock(tmp_path / "dvc.lock") == {}
    (tmp_path / "dvc.lock").write_text(text)
    assert read_dvc_lock(tmp_path / "dvc.lock") == {}


def test_a_dvc_lock_of_another_form_is_one_line(tmp_path: Path) -> None:
    for text in ("stages: [1]", "stages: {a: {outs: [{md5: x}]}}", "a: ["):
        (tmp_path / "dvc.lock").write_text(text)
        with pytest.raises(UserError, match=r"^dvc\.lock: not readable \(") as caught:
            read_dvc_lock(tmp_path / "dvc.lock")
        assert "\n" not in str(caught.value)


def test_what_begins_with_a_dot_is_still_being_written(workspace: Path) -> None:
    make_folder(workspace / "data/.new.partial", kind="prompts")
    make_folder(workspace / "data/students/.new", kind="prompts")
    assert len(read(workspace)) == 17
    hidden = workspace.rename(workspace.with_name(".hidden"))  # but not a workspace
    assert len(read(hidden)) == 17


def test_a_model_outside_data_is_read_too(workspace: Path, tmp_path: Path) -> None:
    make_folder(tmp_path / "elsewhere/base", kind="base", facts={"name": "far"})
    params = workspace / "params.yaml"
    path = load_params(params).model.path
    params.write_text(params.read_text().replace(path, f"{tmp_path}/elsewhere/base"))
    assert "far" in {row["name"] for row in rows(workspace, t.Artifact)}
    assert f"{tmp_path}/elsewhere/base" in {row["path"] for row in rows(workspace, t.Location)}
    assert len(read(workspace)) == 18


# --- evaluations


def measured(workspace: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The rows of an evaluation of k8: itself, its scores by metric."""
    subject = subject_of(workspace / K8, error=0.5, steps=6) | changes
    path = make_evaluation(workspace, "it", {"it": subject})
    found = [(type(row), row.model_dump()) for row in evaluation_rows(path, workspace)]
    (evaluation,) = (row for model, row in found if model is t.Evaluation)
    return evaluation, {row["metric"]: row for model, row in found if model is t.Score}


@pytest.mark.parametrize(("numbers", "is_complete"), [((8, 2), True), ((7, 9), True), ((7, 7), False)])
def test_complete_is_what_some_metric_saw_whole(workspace: Path, numbers: tuple[int, int], is_complete: bool) -> None:
    metrics = {f"m{number}": score(1.0, num_samples=number) for number in numbers}  # of 4 prompts with 2 seeds
    evaluation, _ = measured(workspace, metrics=metrics)
    assert evaluation["is_complete"] == is_complete
    assert evaluation["is_current"]
    assert (evaluation["source"], evaluation["subject"], evaluation["steps"]) == ("data/evaluations/it", "it", 6)


@pytest.mark.parametrize(
    ("value", "number", "word"),
    [(0.25, 0.25, None), (3, 3.0, None), ("nan", None, "nan"), ("Infinity", None, "inf"), (None, None, "nan")],
)
def test_a_score_is_a_number_or_what_it_is_instead(workspace: Path, value: Any, number: Any, word: Any) -> None:
    _, scores = measured(workspace, metrics={"m": score(value)})
    assert (scores["m"]["value"], scores["m"]["not_finite"]) == (number, word)
    assert (scores["m"]["spread"], scores["m"]["direction"], scores["m"]["num_samples"]) == (0.01, "lower", 8)


def test_a_spread_that_is_none_is_none(workspace: Path) -> None:
    _, scores = measured(workspace, metrics={"m": {**score(1.0), "spread": None}})
    assert scores["m"]["spread"] is None
    given = {"direction": "lower", "num_samples": 8}
    wild = documents.ReadScore.model_construct(value=1.0, spread=math.inf, **given)
    assert documents._score_values(wild)["spread"] is None


def test_an_evaluation_s_name_changes_with_its_scores_and_not_with_its_cost(workspace: Path) -> None:
    first, _ = measured(workspace)
    dearer, _ = measured(workspace, forwards=99)
    other, _ = measured(workspace, metrics={"m": score(1.0)})
    assert first["id"] == dearer["id"] != other["id"]
    assert dearer["forwards"] == 99


def test_a_protocol_keeps_all_its_fields_but_its_name(workspace: Path) -> None:
    (protocol, *_) = evaluation_rows(workspace / "data/evaluations/k8/evaluation.json", workspace)
    assert isinstance(protocol, t.Protocol)
    assert "hash" not in protocol.fields
    assert protocol.hash == hash_json(protocol.fields)
    assert (protocol.num_prompts, protocol.seeds, protocol.shift) == (4, [0, 1], 5.0)


# --- what cannot be read


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda raw: raw["facts"].update(horizon=2**40), "horizon"),  # a number for which the table has no room
        (lambda raw: raw.update(content="0" * 64), "content 000000000000 is not the hash"),
        (lambda raw: raw["facts"].update(stage=""), "stage"),
    ],
)
def test_a_problem_is_the_file_and_what_is_wrong(workspace: Path, damage: Any, said: str) -> None:
    path = make_student(workspace, "bad", 8, workspace / "data/students/k4") / "manifest.json"
    raw = json.loads(path.read_text())
    raw.pop("seal", None)
    damage(raw)
    write_json(path, raw)
    (problem,) = (document.problem for document in read(workspace) if document.problem)
    assert f"{path}: " in problem
    assert said in problem
    assert "\n" not in problem


def test_a_file_that_the_system_refuses_is_a_problem(workspace: Path) -> None:
    path = workspace / ".work/runs/odd.json"
    path.mkdir()
    (problem,) = (document.problem for document in read(workspace) if document.problem)
    assert f"{path}" in problem
