"""The whole pipeline at smoke size: one real `dvc repro` of the miniature in a clean copy of the repository."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clone import copy_tree, edit_params, run
from tests.plain import plain_latents

EVALUATIONS = {f"evaluate@{name}" for name in ("reference", "teacher-6", "k8")}
ADDED = {"teacher-4": {"checkpoint": "data/tiny-wan", "steps": 4, "solver": "euler", "guidance_scale": 3.0}}
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def workspace(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to edit."""
    return copy_tree(reproduced, tmp_path_factory.mktemp("pipeline") / "gpd")


def stale(workspace: Path) -> set[str]:
    return set(json.loads(run("dvc", "status", "--json", cwd=workspace)))


def test_every_stage_leaves_its_artefact(workspace: Path) -> None:
    for folder in ("prompts", "latents", "samples/reference", "samples/k8", "students/k1", "students/k8", "report"):
        manifest = json.loads((workspace / "data" / folder / "manifest.json").read_text())
        assert manifest["content"]
    assert (workspace / "data" / "report" / "report.html").stat().st_size > 10_000


def test_lineage_leads_from_the_student_to_the_data(workspace: Path) -> None:
    def manifest(folder: str) -> dict[str, Any]:
        return json.loads((workspace / "data" / folder / "manifest.json").read_text())

    last, first = manifest("students/k8"), manifest("students/k1")
    assert last["inputs"]["previous"]["content"] == first["content"]
    assert last["inputs"]["teacher"]["content"] == manifest("tiny-wan")["content"]
    assert first["inputs"]["latents"]["content"] == manifest("latents")["content"]
    assert manifest("latents")["inputs"]["prompts"]["content"] == manifest("prompts")["content"]


def test_a_second_repro_has_nothing_to_do(workspace: Path) -> None:
    assert stale(workspace) == set()
    assert "up to date" in run("dvc", "repro", cwd=workspace)


def test_git_sees_only_the_lock_and_the_metrics(workspace: Path) -> None:
    changed = {line[3:].split("/")[0] for line in run("git", "status", "--porcelain", cwd=workspace).splitlines()}
    assert changed <= {"dvc.lock", "data"}
    new = run("git", "status", "--porcelain", "-uall", cwd=workspace)
    assert all("evaluations/" in line or "dvc.lock" in line for line in new.splitlines())


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda raw: raw["distill"]["stages"]["k8"].update(learning_rate=2e-5), {"distill@k8"}),
        (lambda raw: raw["report"].update(title="Another"), {"report"}),
        (lambda raw: raw["distill"].update(save_every_seconds=7), set()),
        (lambda raw: raw["distill"].update(seed=7), {"distill@k1", "distill@k8"}),
        (lambda raw: raw["sample"]["subjects"].update(ADDED), {"sample@teacher-4", "evaluate@teacher-4"}),
        (lambda raw: raw["evaluate"].update(num_shown_clips=1), EVALUATIONS),
    ],
    ids=["one stage", "report", "how often to save", "seed", "one more subject", "evaluations"],
)
def test_params_make_stale_what_reads_them(workspace: Path, edit: Edit, expected: set[str]) -> None:
    before = (workspace / "params.yaml").read_text()
    edit_params(workspace, edit)
    try:
        assert stale(workspace) == expected
    finally:
        (workspace / "params.yaml").write_text(before)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("gpd/distillation/trainer.py", {"distill@k1", "distill@k8"}),
        ("gpd/evaluation/metrics/motion.py", EVALUATIONS | {"report"}),  # not one of the samples
        ("gpd/cli/__init__.py", set()),
    ],
    ids=["training", "a metric", "the command line"],
)
def test_code_makes_stale_what_imports_it(workspace: Path, file: str, expected: set[str]) -> None:
    path = workspace / file
    before = path.read_text()
    path.write_text(before + "# a comment\n")
    try:
        assert stale(workspace) == expected
    finally:
        path.write_text(before)


def test_metrics_of_all_subjects_share_their_columns(workspace: Path) -> None:
    shown = run("dvc", "metrics", "show", "--json", cwd=workspace)
    files = json.loads(shown)[""]["data"]
    metrics = {name: files[f"data/evaluations/{name}/metrics.json"]["data"] for name in ("k8", "teacher-6")}
    assert metrics["k8"]["trajectory_error"] > 0
    assert metrics["k8"].keys() == metrics["teacher-6"].keys()


def test_the_student_is_a_plain_pipeline_that_samples_what_we_sample(workspace: Path) -> None:
    from gpd.core.randomness import seeded_noise
    from gpd.core.sampler import sample
    from gpd.core.schedule import make_grid
    from gpd.core.velocity import stack_text
    from gpd.models import wan

    folder = workspace / "data" / "students" / "k8"
    caption = "a blue square moves up quickly over a striped background"
    noise = seeded_noise((1, 16, 5, 8, 8), seed=3, index=0)
    theirs = plain_latents(folder, caption, noise, steps=6)
    text = stack_text(wan.TextEncoder(folder).encode([caption]))
    network = wan.load_network(folder, merge_padding=True)
    ours = sample(network, noise, text, make_grid(48, 3.0).every(8))[-1]
    assert (ours - theirs).norm() / theirs.norm() < 1e-4


SMOKE_GRID = {
    "budget": 100,
    "seeds": [0, 1],
    "batch": 2,
    "learning_rate": 1e-3,
    "common": {"distill.probe.num_states": 2},
    "variants": {
        "coarse": {"label": "coarse", "group": "rivals", "stages": [{"horizon": 8, "tail": 8, "share": 1.0}]},
        "consistency": {
            "label": "consistency",
            "group": "rivals",
            "set": {
                "distill.objective": "consistency",
                "distill.loss_weighting": "uniform",
                "distill.states": {"stream": 0.0, "clips": 1.0, "rollouts": 0.0},
            },
            "stages": [{"horizon": 8, "tail": 1, "share": 1.0}],
        },
        "curve": {
            "label": "goes through coarse's point",
            "group": "budget",
            "stages": [{"horizon": 8, "tail": 8, "share": 1.0}],
            "budgets": [100],
        },
    },
}


def test_an_ablation_runs_what_is_missing_and_is_paired_with_the_pipelines_reference(workspace: Path) -> None:
    (workspace / "data" / "ablation" / "grid.yaml").write_text(yaml.safe_dump(SMOKE_GRID))
    run("gpd", "ablate", "--only", "coarse", "--jobs", "2", cwd=workspace)
    first = {path: path.stat().st_mtime_ns for path in (workspace / ".work" / "ablation").glob("*.json")}
    assert len(first) == 2
    run("gpd", "ablate", "--jobs", "2", cwd=workspace)
    results = json.loads((workspace / "data" / "ablation" / "results.json").read_text())
    evaluation = json.loads((workspace / "data" / "evaluations" / "k8" / "evaluation.json").read_text())
    assert results["protocol"] == evaluation["protocol"]["hash"]
    rows = [(row["variant"], row["num_seeds"]) for row in results["rows"]]
    assert rows == [("coarse", 2), ("consistency", 2), ("curve", 2)]
    assert len(list((workspace / ".work" / "ablation").glob("*.json"))) == 4  # equal runs are one
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in first.items())  # finished runs are kept
    assert results["rows"][0]["metrics"]["trajectory_error"]["std"] > 0  # seeds differ
    floor = next(row for row in results["floors"] if row["label"] == "teacher-6")
    teacher = json.loads((workspace / "data" / "evaluations" / "teacher-6" / "metrics.json").read_text())
    assert floor["metrics"]["trajectory_error"]["mean"] == pytest.approx(teacher["trajectory_error"])
    assert (workspace / "data" / "ablation" / "ablation.html").is_file()
    log = next((workspace / ".work" / "ablation").glob("run-*/log.txt")).read_text()
    assert "distill k8: residual" in log
    (decoded,) = (workspace / ".work" / "ablation").glob("base-*/.work/decoded")
    assert list(decoded.iterdir())
    assert {path.resolve() for path in (workspace / ".work" / "ablation").glob("run-*/.work/decoded")} == {decoded}
