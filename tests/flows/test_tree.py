"""Work trees: of a commit, with overrides that are checked, sharing what may be shared, one run in each at a time."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows import graph, process, tree
from flows.ablate import planned
from flows.pipeline import describe_run
from flows.process import StageFailedError
from gpd.artifacts import UserError
from tests.clone import make_copy

RATE = "distill.stages.k8.learning_rate"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_copy(tmp_path_factory.mktemp("trees") / "gpd")


def test_a_tree_has_the_commit_the_overrides_and_the_shared_cache(root: Path) -> None:
    with tree.work_tree(root, "HEAD", {RATE: 2e-4}) as found:
        params = yaml.safe_load((found.folder / "params.yaml").read_text())
        assert params["distill"]["stages"]["k8"]["learning_rate"] == 2e-4
        assert found.folder.is_relative_to(root / ".work" / "flows")
        assert (found.folder / ".work" / "distill").resolve() == root / ".work" / "distill"
        cache = subprocess.run(["dvc", "cache", "dir"], cwd=found.folder, env=found.environment(), capture_output=True)
        assert Path(cache.stdout.decode().strip()) == root / ".dvc" / "cache"
        assert found.registry_url == str(root / "registry.db")


def test_a_stage_runs_the_code_of_its_commit_and_the_registry_the_installed_one(root: Path) -> None:
    """Else DVC would keep, under the hashes of one commit's code, what another's has made."""

    def where(environment: dict[str, str]) -> Path:
        words = [sys.executable, "-P", "-c", "import gpd.cli; print(gpd.__file__)"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        return Path(done.stdout.strip()).parents[1]

    with tree.work_tree(root) as found:
        assert where(found.code_environment()) == found.folder
        assert where(found.environment()) != found.folder


def test_the_same_run_finds_its_tree_again_and_two_at_once_have_two(root: Path) -> None:
    with tree.work_tree(root) as first, tree.work_tree(root) as second:
        assert first.folder != second.folder
        assert first.params_hash == second.params_hash
    with tree.work_tree(root) as again, tree.work_tree(root, overrides={RATE: 3e-4}) as other:
        assert again.folder == first.folder
        assert other.params_hash != again.params_hash


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"distill.stages.k8.learning_rat": 1}, "'learning_rat'.*it has horizon, tail"),
        ({"distil.seed": 1}, "'distil'.*it has model, prepare"),
        ({"distill.seed.x": 1}, "'x'.*it is a value"),
        ({RATE: "fast"}, "learning_rate"),
    ],
)
def test_overrides_that_do_not_fit_are_named_and_leave_no_tree(
    root: Path, overrides: tree.Overrides, words: str
) -> None:
    before = set((root / tree.FLOWS).glob("*"))
    with pytest.raises(UserError, match=words), tree.work_tree(root, overrides=overrides):
        pass
    assert set((root / tree.FLOWS).glob("*")) == before


def test_a_commit_that_is_not_here_is_named(root: Path) -> None:
    with pytest.raises(UserError, match="'v99': not in the clone"), tree.work_tree(root, "v99"):
        pass


@pytest.mark.parametrize("commit", ["--output={}", "-o{}", "HEAD\n--output={}", "HEAD\0", "\x1b[2J", "--output={}\n"])
def test_a_commit_reaches_git_as_a_name_only(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: str
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", "prudent-lemur")
    asked, before = commit.format(tmp_path / "written"), set(root.glob("*"))
    assert describe_run("distill", {"commit": asked}) == f"distill {asked!r}"
    for reach in (lambda: tree.find_commit(root, asked), lambda: tree.params_of(root, asked, {})):
        with pytest.raises(UserError, match=r"commit=.*must not begin with a dash") as caught:
            reach()
        assert "\n" not in str(caught.value)
    assert (list(tmp_path.iterdir()), set(root.glob("*"))) == ([], before)


@pytest.mark.parametrize(
    "overrides",
    [
        {"--output=x": 1},
        {"model.path\nseed": "x"},
        {"model.path": "-x"},
        {"model.path": "data\n- x"},
        {"model.path": "a\u2028b"},
        {"distill.frequency.stages": ["k1", "-k2"]},
        {"sample.subjects": {"a": {"checkpoint": "\x1b[2J"}}},
        {"sample.subjects": {"-a": 1}},
    ],
)
def test_overrides_hold_no_options_and_no_lines(root: Path, overrides: tree.Overrides) -> None:
    before = set((root / tree.FLOWS).glob("*"))
    words = "must not begin with a dash or hold control characters"
    with pytest.raises(UserError, match=words) as caught, tree.work_tree(root, overrides=overrides):
        pass
    assert "\n" not in str(caught.value)
    assert set((root / tree.FLOWS).glob("*")) == before


def test_numbers_below_zero_are_no_options(root: Path) -> None:
    with pytest.raises(UserError, match="learning_rate=-1: Input should be greater than 0"):
        tree.params_of(root, "HEAD", {RATE: -1})


def test_settings_of_this_machine_come_with_places_made_absolute(root: Path) -> None:
    (root / ".dvc" / "config.local").write_text(
        "['remote \"shared\"']\n    url = ../../remote\n[core]\n    remote = shared\n"
    )
    try:
        with tree.work_tree(root, overrides={"report.title": "x"}) as found:
            local = (found.folder / ".dvc" / "config.local").read_text()
            assert found.remote == "shared"
            assert str((root / ".." / "remote").resolve()) in local
    finally:
        (root / ".dvc" / "config.local").unlink()


def test_material_that_git_does_not_hold_is_linked(root: Path) -> None:
    source = root / "data" / "sources" / "mine"
    source.mkdir(parents=True)
    (source / "prompts.txt").write_text("a cat\n")
    with tree.work_tree(root, overrides={"prepare.source": "data/sources/mine"}) as found:
        assert (found.folder / "data" / "sources" / "mine").resolve() == source


def test_changes_that_are_not_committed_are_told(root: Path) -> None:
    path = root / "README.md"
    before = path.read_text()
    path.write_text("changed")
    try:
        assert tree.changed_files(root) == ["README.md"]
    finally:
        path.write_text(before)


def test_a_student_from_elsewhere_takes_its_stages_place(root: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with tree.work_tree(root) as plain, tree.work_tree(root, students={"k8": tmp_path}) as found:
        assert plain.folder != found.folder
        assert found.given == {"distill@k8"}
        assert (found.folder / "data" / "students" / "k8").resolve() == tmp_path


def test_variants_of_the_ablation_are_overrides_that_fit(root: Path) -> None:
    with tree.work_tree(root) as found:
        runs = planned(found, ["recipe"])
        assert list(runs) == [f"recipe 15000 seed {seed}" for seed in (0, 1, 2)]
        params = [tree.params_of(root, found.commit, overrides) for overrides in runs.values()]
        assert [one["distill"]["seed"] for one in params] == [0, 1, 2]
        with pytest.raises(StageFailedError, match="no variant, family or group 'receipt'"):
            planned(found, ["receipt"])


def test_what_this_machine_has_made_is_found_although_dvc_lock_names_another_machines(tmp_path: Path) -> None:
    def do(*words: str) -> str:
        return process.read_command([*words], cwd=tmp_path, env=graph.dvc_environment(tmp_path))

    (tmp_path / "dvc.yaml").write_text("stages: {copy: {cmd: cp a b, deps: [a], outs: [b]}}")
    (tmp_path / "a").write_text("content")
    do("git", "init", "--quiet")
    do("dvc", "init", "--quiet")
    do("dvc", "repro", "--quiet")
    lock = tmp_path / "dvc.lock"
    entry = yaml.safe_load(lock.read_text())
    entry["stages"]["copy"]["outs"][0]["md5"] = "0" * 32
    lock.write_text(yaml.safe_dump(entry))
    (tmp_path / "b").unlink()
    tree.forget_missing(tmp_path)
    assert "is cached" in do("dvc", "repro")
    assert (tmp_path / "b").read_text() == "content"
    before = lock.read_bytes()
    tree.forget_missing(tmp_path)
    assert lock.read_bytes() == before
