"""dvc.yaml as a table: `foreach` opened, what determines a stage, when two stages do the same work."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpd import stages
from gpd.artifacts import UserError
from gpd.documents import Identity
from tests.clone import run
from tests.curricula import doubling_profile

ROOT = Path(__file__).parents[1]
PIPELINE = """
stages:
  look: {cmd: gpd look, deps: ["${look.source}", gpd/eye], params: [look], outs: [data/looked]}
  learn:
    foreach: ${learn.parts}
    do:
      cmd: gpd learn ${key}
      deps: [data/looked, "${item.previous}", "${model.path}", gpd/hand.py]
      params: [model, learn.rate, "learn.parts.${key}"]
      outs: ["data/learnt/${key}"]
      metrics: ["data/scores/${key}/score.json": {cache: false}]
  tell: {foreach: "${tell.tongues}", do: {cmd: "gpd tell ${item}", deps: [data/scores], outs: ["data/told/${item}"]}}
"""


def params() -> dict[str, Any]:
    return {
        "model": {"path": "models/base", "hub": None, "width": 8},
        "look": {"source": "source", "sharp": True},
        "learn": {
            "rate": 0.5,
            "parts": {"a": {"previous": "models/base", "steps": 1}, "b": {"previous": "data/learnt/a", "steps": 2}},
        },
        "tell": {"tongues": ["en", "de"]},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    for name in ("source/eye.txt", "models/base/weights", "gpd/eye/lens.py", "gpd/hand.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def keys(folder: Path, values: dict[str, Any] | None = None) -> dict[str, str]:
    values = values or params()
    return stages.stage_keys(stages.load_stages(folder, values), values, stages.identities(folder))


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_foreach_is_opened_over_a_mapping_and_over_a_list(folder: Path) -> None:
    found = stages.load_stages(folder, params())
    assert list(found) == ["look", "learn@a", "learn@b", "tell@en", "tell@de"]
    assert found["tell@de"].command == "gpd tell de"
    assert found["learn@b"] == stages.Stage(
        name="learn@b",
        command="gpd learn b",
        params=("model", "learn.rate", "learn.parts.b"),
        deps=("data/looked", "data/learnt/a", "models/base", "gpd/hand.py"),
        outs=("data/learnt/b", "data/scores/b/score.json"),
    )


def test_a_key_that_params_do_not_have_is_named(folder: Path) -> None:
    values = params()
    del values["learn"]["parts"]["b"]["previous"]
    with pytest.raises(UserError, match=r"dvc\.yaml: learn@b: \$\{item\.previous\}: params\.yaml has no such key"):
        stages.load_stages(folder, values)


def test_a_missing_pipeline_and_a_missing_dependency_are_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"dvc\.yaml: no such file"):
        stages.load_stages(tmp_path / "elsewhere", params())
    (folder / "gpd/hand.py").unlink()
    with pytest.raises(UserError, match=r"gpd/hand\.py: no such file or folder"):
        keys(folder)


@pytest.mark.parametrize("text", ["stages:", "stages: [a]", "stages: {a: }", "stages: {a: {cmd: x, deps: [{}]}}", "1"])
def test_a_pipeline_of_another_form_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(UserError, match=r"dvc\.yaml: not valid YAML with `stages`"):
        stages.load_stages(tmp_path, params())


def test_settings_are_what_the_stage_names_less_where_its_inputs_lie(folder: Path) -> None:
    found = stages.load_stages(folder, params())
    assert stages.settings(found["learn@b"], params()) == {
        "model.width": 8,
        "learn.rate": 0.5,
        "learn.parts.b.steps": 2,
    }
    assert stages.settings(found["look"], params()) == {"look.sharp": True}


def test_the_pipeline_where_the_command_runs_says_what_a_stage_is_marked_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert stages.settings_of("look", params()) == {"look.sharp": True}
    with pytest.raises(UserError, match=r"dvc\.yaml: no stage 'learn@c'; there are look, learn@a, learn@b, tell@en"):
        stages.settings_of("learn@c", params())
    (folder / "dvc.yaml").unlink()
    with pytest.raises(UserError, match=r"dvc\.yaml: no such file"):
        stages.settings_of("look", params())


def test_unfinished_work_is_met_by_equal_settings_and_inputs_only() -> None:
    base = {"base": Identity(kind="base", content="1")}
    place = stages.work_folder("learn@a", {"rate": 1.0}, base)
    assert (place.parent, place.name[:2]) == (Path(".work/learn"), "a-")
    assert place == stages.work_folder("learn@a", {"rate": 1.0}, dict(base))
    others = {
        stages.work_folder("learn@b", {"rate": 1.0}, base),
        stages.work_folder("learn@a", {"rate": 2.0}, base),
        stages.work_folder("learn@a", {"rate": 1.0}, {"base": Identity(kind="base", content="2")}),
        stages.work_folder("look", {"rate": 1.0}, base),
    }
    assert len(others - {place}) == 4


def test_needs_are_all_that_a_stage_waits_for_and_order_puts_them_first(folder: Path) -> None:
    found = stages.load_stages(folder, params())
    assert list(stages.with_needs(found, "learn@b")) == ["look", "learn@a", "learn@b"]
    assert set(found) - set(stages.with_needs(found, "tell@en")) == {"tell@de"}  # it reads a folder around their scores
    assert stages.order(dict(reversed(found.items())))[:3] == ["look", "learn@a", "learn@b"]


def test_what_comes_from_outside_is_data_that_no_stage_makes(folder: Path) -> None:
    found = stages.load_stages(folder, params())
    assert stages.outside(found) == ["source", "models/base"]
    assert stages.outside({"learn@b": found["learn@b"]}) == ["data/looked", "data/learnt/a", "models/base"]


@pytest.mark.parametrize(
    ("dotted", "value", "expected"),
    [
        ("look.sharp", False, {"look", "learn@a", "learn@b", "tell@en", "tell@de"}),
        ("learn.parts.b.steps", 3, {"learn@b", "tell@en", "tell@de"}),
        ("model.hub", {"repository": "elsewhere"}, set()),
    ],
)
def test_a_setting_changes_its_stage_and_what_follows(
    folder: Path, dotted: str, value: Any, expected: set[str]
) -> None:
    values = params()
    *above, last = dotted.split(".")
    stages.value_at(values, ".".join(above))[last] = value
    assert changed(keys(folder), keys(folder, values)) == expected


def test_code_and_data_change_the_keys_of_their_readers_and_compiled_code_none(folder: Path) -> None:
    before = keys(folder)
    (folder / "gpd/eye/__pycache__").mkdir()
    (folder / "gpd/eye/__pycache__/lens.pyc").write_text("compiled")
    assert keys(folder) == before
    (folder / "gpd/hand.py").write_text("other")
    assert changed(before, keys(folder)) == {"learn@a", "learn@b", "tell@en", "tell@de"}
    after = keys(folder)
    (folder / "source/eye.txt").write_text("other")
    assert changed(after, keys(folder)) == set(before)


def test_the_same_model_in_another_place_is_the_same_work(folder: Path) -> None:
    before = keys(folder)
    (folder / "models/base").rename(folder / "models/moved")
    values = params()
    values["model"]["path"] = values["learn"]["parts"]["a"]["previous"] = "models/moved"
    assert keys(folder, values) == before


def test_the_pipeline_is_opened_as_dvc_opens_it(tmp_path: Path) -> None:
    values = doubling_profile()
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    run("dvc", "init", "-q", "--no-scm", cwd=tmp_path)
    listed = run("dvc", "stage", "list", "--name-only", cwd=tmp_path)
    assert list(stages.load_stages(tmp_path, values)) == listed.split()
