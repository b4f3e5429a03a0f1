"""Results of runs gathered over seeds; what is committed is what its results.json makes."""

import json
from pathlib import Path
from typing import Any

from gpd.ablation.ablate import write_outcome
from gpd.ablation.grid import AblationGrid
from gpd.ablation.results import RunResult, load_results, make_floors, make_rows, spread, with_agreement
from gpd.ablation.variants import all_variants
from gpd.artifacts import write_json
from gpd.documents import AblationResults, Evaluation, Protocol, Score, Spread, SubjectScores, load_document, load_json
from tests.ablation.test_plan import GRID

COMMITTED = Path(__file__).parents[2] / "data" / "ablation"
PROTOCOL = Protocol.model_construct(hash="p")


def result(variant: str, seed: int, error: float, training: int = 100) -> RunResult:
    return RunResult(
        variant=variant,
        budget=9120,
        seed=seed,
        protocol="p",
        commit="abc1234",
        key=f"{variant}-{seed}",
        steps=6,
        training_forwards=training,
        sampling_forwards=6,
        metrics={"trajectory_error": error},
        stages=[],
    )


def scores(**metrics: float) -> SubjectScores:
    found: dict[str, Any] = {
        name: Score(value=value, num_samples=1, spread=None, direction="lower") for name, value in metrics.items()
    }
    return SubjectScores(checkpoint="c", solver="euler", steps=6, guidance_scale=3.0, forwards=12, metrics=found)


def evaluation(**subjects: SubjectScores) -> Evaluation:
    return Evaluation.model_construct(protocol=PROTOCOL, subjects=subjects)


def test_spread_is_the_sample_deviation_by_hand() -> None:
    assert spread([1.0, 2.0, 3.0]) == Spread(mean=2.0, std=1.0)
    assert spread([0.25]) == Spread(mean=0.25, std=None)


def test_agreement_is_the_mean_over_the_captions_properties() -> None:
    read = with_agreement({"agreement_colour": 1.0, "agreement_shape": 0.5, "ssim": 0.9})
    assert read["agreement"] == 0.75
    assert "agreement" not in with_agreement({"ssim": 0.9})


def test_seeds_of_a_variant_are_one_row() -> None:
    runs = [result("two", 3, 0.1, 100), result("two", 5, 0.3, 103), result("one-shot", 3, 0.4)]
    found = make_rows(all_variants(AblationGrid.model_validate(GRID)), runs)
    assert [(row.variant, row.num_seeds, row.training_forwards) for row in found] == [
        ("two", 2, 102),
        ("one-shot", 1, 100),
    ]
    assert found[0].metrics["trajectory_error"] == Spread(mean=0.2, std=0.141421)
    assert found[1].metrics["trajectory_error"].std is None
    assert (found[0].runs, found[0].commit) == (["two-3", "two-5"], "abc1234")


def test_floors_are_all_undistilled_subjects_but_the_reference() -> None:
    several = [evaluation(reference=scores(flicker=0.9), six=scores(trajectory_error=0.2)), evaluation(twelve=scores())]
    assert [floor.label for floor in make_floors(several)] == ["six"]


def test_equal_runs_share_a_file_and_each_has_its_row(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", result("two", 3, 0.1).model_dump(mode="json"))
    files = [("two", 9120, tmp_path / "a.json"), ("curve", 500, tmp_path / "a.json"), ("new", 1, tmp_path / "b.json")]
    assert [(one.variant, one.budget) for one in load_results(files)] == [("two", 9120), ("curve", 500)]
    assert {one.key for one in load_results(files)} == {"a"}


def test_the_committed_outcome_is_what_its_results_make(tmp_path: Path) -> None:
    results = load_document(AblationResults, COMMITTED / "results.json", "")
    (tmp_path / f".table.md.{2**22 + 1}.partial").touch()  # of a process that is gone: Linux has no such number
    write_outcome(results, tmp_path)
    assert not list(tmp_path.glob(".*"))
    assert (tmp_path / "table.md").read_text() == (COMMITTED / "table.md").read_text()
    made, committed = (load_json(folder / "results.json", "") for folder in (tmp_path, COMMITTED))
    assert json.dumps(made) == json.dumps(committed)
