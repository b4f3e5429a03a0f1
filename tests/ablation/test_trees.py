"""Which runs share a tree and a result: those of equal params, data and code."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpd.ablation.grid import AblationGrid
from gpd.ablation.plan import Run, base_params, make_runs
from gpd.ablation.runs import make
from gpd.ablation.trees import Tree, base_tree, code_at_hand, result_file, run_tree
from gpd.artifacts import UserError
from gpd.params import load_params
from tests.ablation.test_plan import GRID, ROOT
from tests.workspace import working_in

VARIANTS: dict[str, Any] = {
    "one-shot": GRID["variants"]["one-shot"],
    "same": GRID["variants"]["one-shot"] | {"label": "the same under another name"},
    "two": GRID["variants"]["two"],
}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """dvc.yaml with stand-ins for data, the base model and the code."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for name in ("data/sources/tiny-wan/prompts.txt", "data/tiny-wan/weights"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    shutil.copytree(ROOT / "gpd", tmp_path / "gpd", ignore=shutil.ignore_patterns("__pycache__"))
    with working_in(tmp_path):
        yield tmp_path


def trees(**changes: Any) -> tuple[Tree, list[tuple[Run, Tree]]]:
    grid = AblationGrid.model_validate({**GRID, "variants": VARIANTS, **changes})
    params, code = load_params(ROOT / "params.yaml"), code_at_hand()
    base = base_tree(base_params(grid, params), code)
    return base, [(run, run_tree(run, base, code)) for run in make_runs(grid, params)]


def test_a_base_has_no_training_and_a_run_what_the_base_lacks(repository: Path) -> None:
    base, runs = trees()
    assert list(base.stages)[:2] == ["prepare", "encode"]
    assert base.named("evaluate@")
    assert not base.named("distill@")
    assert list(runs[0][1].named("distill@")) == ["distill@k8"]
    assert list(runs[-1][1].named("distill@")) == ["distill@k1", "distill@k8"]
    assert all(not tree.stages.keys() & base.stages.keys() for _, tree in runs)


def test_a_run_reads_the_shared_data_and_the_repositorys_models(repository: Path) -> None:
    base, ((_, tree), *_) = trees()
    assert tree.inputs["data/latents"] == base.folder / "data/latents"
    assert tree.inputs["data/tiny-wan"] == Path("data/tiny-wan")
    assert not any(path.startswith("gpd/") for path in tree.inputs)


def test_a_run_has_the_clips_that_the_base_decoded_or_makes_its_own(repository: Path) -> None:
    _, ((_, tree), *_) = trees()
    kept = tree.inputs[".work/decoded"]
    bare = replace(tree, stages={})
    for is_there in (True, False):
        if is_there:
            kept.mkdir(parents=True)
        else:
            shutil.rmtree(kept)
        make(bare, Path.cwd())
        assert (tree.folder / ".work" / "decoded").is_symlink() == is_there
    own = tree.folder / ".work" / "decoded"
    own.mkdir()
    kept.mkdir()
    make(bare, Path.cwd())  # goes on after a stop
    assert own.is_dir()
    assert not own.is_symlink()


def test_equal_params_are_one_run(repository: Path) -> None:
    base, runs = trees()
    results = [result_file(run, tree, base) for run, tree in runs]
    assert (results[0], results[3]) == (results[1], results[4])  # two variants of three, for each of two seeds
    assert len(set(results)) == 4
    assert [tree.folder for _, tree in (runs[0], runs[3])] == [tree.folder for _, tree in (runs[1], runs[4])]


@pytest.mark.parametrize(
    ("folder", "is_training"),
    [("gpd/distillation", True), ("gpd/data", True), ("gpd/evaluation", False), ("gpd/sampling", False)],
)
def test_an_edit_makes_new_results_and_only_one_in_training_trains_again(
    repository: Path, folder: str, is_training: bool
) -> None:
    before, ((run, tree), *_) = trees()
    (repository / folder / "planted.py").write_text("")
    after, ((_, again), *_) = trees()
    assert result_file(run, again, after) != result_file(run, tree, before)
    assert (again.folder != tree.folder) == is_training


def test_what_no_stage_depends_on_changes_nothing(repository: Path) -> None:
    before = trees()
    (repository / "gpd/registry/planted.py").write_text("")
    assert trees() == before


def test_a_variant_that_changes_shared_data_is_named(repository: Path) -> None:
    variants = {"x": VARIANTS["one-shot"] | {"set": {"encode.seed": 5}}}
    with pytest.raises(UserError, match=r"variants\.x: changes stage encode, which all runs share"):
        trees(variants=variants)
