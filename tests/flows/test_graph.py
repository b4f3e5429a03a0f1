"""The graph of DVC's stages: as DVC sees it, in an order, with all that a stage waits for and what is to be done."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import graph, rwlock
from tests.clone import commit, run
from tests.curricula import doubling_profile

ROOT = Path(__file__).parents[2]
CHAIN = {"c": {"b"}, "b": {"a"}, "a": set(), "d": set()}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dvc.yaml with the stages k1 k2 k4 k8, as a repository of its own."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    write_params(folder, doubling_profile())
    run("git", "init", "-q", cwd=folder)
    run("dvc", "init", "-q", cwd=folder)
    commit(folder, "pipeline")
    return folder


@pytest.fixture(scope="module")
def stages(pipeline: Path) -> graph.Needs:
    return graph.needs(pipeline)


def write_params(folder: Path, params: dict[str, Any]) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def test_each_stage_comes_after_what_it_needs() -> None:
    found = graph.order(CHAIN)
    assert sorted(found) == sorted(CHAIN)
    assert all(found.index(need) < found.index(name) for name, above in CHAIN.items() for need in above)
    with pytest.raises(ValueError, match="cycle"):
        graph.order({"a": {"b"}, "b": {"a"}})


def test_what_a_stage_waits_for_is_found_to_the_beginning() -> None:
    assert graph.with_needs(CHAIN, {"b"}) == {"a", "b"}
    assert graph.with_needs(graph.without(CHAIN, frozenset({"b"})), {"c"}) == {"c"}
    with pytest.raises(ValueError, match="no DVC stage 'x'; there are a, b, c, d"):
        graph.with_needs(CHAIN, {"x"})


def test_the_graph_is_the_one_that_dvc_sees(pipeline: Path, stages: graph.Needs) -> None:
    printed = run("dvc", "dag", "--dot", cwd=pipeline)
    pairs = {(before, after) for before, after in re.findall(r'"([^"]+)" -> "([^"]+)"', printed)}
    assert pairs == {(before, after) for after, above in stages.items() for before in above}
    assert stages["distill@k2"] == {"distill@k1", "encode"}
    assert graph.order(stages)[:2] == ["prepare", "encode"]
    assert graph.order(stages)[-1] == "report"


def test_what_dvc_has_done_is_not_outdated_what_comes_after_a_change_is(tmp_path: Path) -> None:
    copies = {name: {"cmd": f"cp {before} {name}", "deps": [before], "outs": [name]} for before, name in ("ab", "bc")}
    alone = {"cmd": "touch z", "outs": ["z"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {**copies, "z": alone}}))
    (tmp_path / "params.yaml").write_text("{}")
    (tmp_path / "a").write_text("one")
    needs = graph.needs(tmp_path)
    run("git", "init", "-q", cwd=tmp_path)
    run("dvc", "init", "-q", cwd=tmp_path)
    assert graph.outdated(tmp_path, needs) == {"b", "c", "z"}
    run("dvc", "repro", "-q", cwd=tmp_path)
    assert graph.outdated(tmp_path, needs) == set()
    (tmp_path / "a").write_text("two")
    (tmp_path / rwlock.FOLDER / "rwlock").write_text("")  # a dvc was killed
    assert graph.outdated(tmp_path, needs) == {"b", "c"}


def test_a_key_changes_with_the_params_of_the_stage_and_of_those_before(pipeline: Path, stages: graph.Needs) -> None:
    params = doubling_profile()
    before = graph.content_keys(pipeline, stages)
    params["distill"]["stages"]["k4"]["tail"] = 2
    write_params(pipeline, params)
    after = graph.content_keys(pipeline, stages)
    changed = {name for name in stages if before[name] != after[name]}
    behind = {f"{stage}@{name}" for stage in ("distill", "sample", "evaluate") for name in ("k4", "k8")}
    assert changed == behind | {"report"}
