"""Two sides of a comparison: where each is found, and the page of both."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from gpd.artifacts import UserError
from gpd.evaluation import compare
from gpd.evaluation.beside import differing, figure_rows, shared_line
from gpd.evaluation.sides import Side, find_side, name_alike
from gpd.params import Params
from gpd.registry import open_registry, promote, sync
from tests.pages.test_html import Reader


def content_of(name: str) -> str:
    return str(json.loads(Path(f"data/students/{name}/manifest.json").read_text())["content"])


def record(params: Params) -> None:
    values = params.model_dump(mode="json")
    values["distill"]["stages"]["k1"]["previous"] = params.model.path
    Path("params.yaml").write_text(yaml.safe_dump(values))
    sync()


def test_a_subject_and_what_the_registry_calls_so_are_the_same_side(workspace: Params) -> None:
    record(workspace)
    with open_registry(writes=True) as session:
        promote(session=session, key=content_of("k4"), alias="champion", because="it is the last")
    here, recorded = find_side("k4"), find_side("champion")
    assert here.params["model.grid_steps"] == 8
    for key in ("clips", "protocol", "scores", "params", "inputs", "costs"):
        assert getattr(recorded, key) == getattr(here, key), key
    assert [content for _, content in here.ancestors] == [content for _, content in recorded.ancestors]
    assert [name for name, _ in here.ancestors[1:]] == ["k4"]


def test_the_page_has_both_and_the_reference_in_step(workspace: Params, tmp_path: Path) -> None:
    page = compare.run_beside("k1", "k4", tmp_path / "two.json")
    found = Reader(page.read_text())
    tags = [tag for tag, _ in found.tags]
    num_cards = len(find_side("k1").clips)
    assert tags.count("video") == 4 * num_cards > 0  # reference, both, their difference
    for _, attributes in found.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert {"training forwards, student", "Params that differ", "Lineage"} <= set(found.texts)


def test_two_folders_are_measured_and_shown(workspace: Params, tmp_path: Path) -> None:
    for number, name in enumerate(("k1", "k4")):
        for place, clip in enumerate(sorted(Path(f"data/evaluations/{name}/clips").glob("*seed0.mp4"))):
            (tmp_path / str(number)).mkdir(exist_ok=True)
            shutil.copy(clip, tmp_path / str(number) / f"{place}.mp4")
    page = compare.run_beside(str(tmp_path / "0"), str(tmp_path / "1"), tmp_path / "two.json")
    assert "Measured against the second folder" in page.read_text()
    assert json.loads((tmp_path / "two.json").read_text())["is_paired"]


def test_what_is_neither_is_named(workspace: Params) -> None:
    record(workspace)
    with pytest.raises(UserError, match="nobody"):
        find_side("nobody")


def test_better_only_at_the_digits_shown_and_under_one_protocol(workspace: Params) -> None:
    scores = find_side("k4").scores
    other = {name: one.model_copy(update={"value": one.value + 1e-9}) for name, one in scores.items()}
    assert {row.better for row in figure_rows(scores, other, is_comparable=True)} == {""}
    worse = {name: one.model_copy(update={"value": one.value + 1}) for name, one in scores.items()}
    found = {row.label: row.better for row in figure_rows(scores, worse, is_comparable=True)}
    assert (found["Trajectory error"], found["PSNR, dB"]) == ("a", "b")
    assert {row.better for row in figure_rows(scores, worse, is_comparable=False)} == {""}


def test_only_what_differs_is_listed() -> None:
    one, other = ({f"distill.stages.{name}.horizon": value} for name, value in (("k4", 4), ("k8", 8)))
    key = "distill.stages.STAGE.horizon"
    assert differing(name_alike(one, "k4"), name_alike(other, "k8")) == [(key, 4, 8)]
    assert differing({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == [("b", 2, 3), ("c", "–", 4)]


def test_where_two_lines_part() -> None:
    def side(*line: str) -> Side:
        return Side("x", {}, ancestors=[(name, name) for name in line])

    assert shared_line(side("base", "k1", "k4"), side("base", "k1", "k8", "k9")) == 2
    assert shared_line(side("base"), side("base", "k1")) == 1
    assert shared_line(side("base"), side("other")) == 0
