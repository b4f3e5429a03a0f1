"""The graph of DVC's stages: as DVC prints it, in an order, with all that a stage waits for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import graph
from tests.clone import commit, run
from tests.curricula import doubling_profile

ROOT = Path(__file__).parents[2]
DOT = 'strict digraph  {\n"a";\n"b@x";\n"c";\n"a" -> "b@x";\n"b@x" -> "c";\n"a" -> "c";\n}\n'
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


def test_dot_is_read_whatever_its_blanks() -> None:
    expected = {"a": set(), "b@x": {"a"}, "c": {"a", "b@x"}}
    assert graph.parse_dot(DOT) == graph.parse_dot(DOT.replace(" -> ", "->")) == expected


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


def test_dvc_gives_the_pipeline(pipeline: Path, stages: graph.Needs) -> None:
    assert stages["distill@k2"] == {"distill@k1", "encode"}
    assert graph.order(stages)[:2] == ["prepare", "encode"]
    assert graph.order(stages)[-1] == "report"
    assert set(graph.stage_names(pipeline)) == set(stages)


def test_a_key_changes_with_the_params_of_the_stage_and_of_those_before(pipeline: Path, stages: graph.Needs) -> None:
    params = doubling_profile()
    before = graph.content_keys(pipeline, stages)
    params["distill"]["stages"]["k4"]["tail"] = 2
    write_params(pipeline, params)
    after = graph.content_keys(pipeline, stages)
    changed = {name for name in stages if before[name] != after[name]}
    behind = {f"{stage}@{name}" for stage in ("distill", "sample", "evaluate") for name in ("k4", "k8")}
    assert changed == behind | {"report"}
