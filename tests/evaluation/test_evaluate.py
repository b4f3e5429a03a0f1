import csv
import json
from pathlib import Path
from typing import Any

import pytest
from diffusers import WanPipeline

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.evaluation import evaluate
from gpd.evaluation.metrics.catalogue import CATALOGUE
from gpd.params import Params
from tests.workspace import NUM_PROMPTS

PAIRED = {"trajectory_error", "psnr", "ssim", "colour_shift", "spectral_space_ratio", "flicker_ratio"}


def load(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(Path(f"data/evaluations/{name}/evaluation.json").read_text())
    return value


def test_teacher_has_the_reference_and_all_baselines(workspace: Params) -> None:
    subjects = load("teacher")["subjects"]
    described = {name: (entry["solver"], entry["steps"], entry["forwards"]) for name, entry in subjects.items()}
    assert described == {
        "teacher-8": ("euler", 8, 16),
        "teacher-2": ("euler", 2, 4),
        "teacher-4-unipc": ("unipc", 4, 4),
    }


def test_student_takes_one_forward_a_step_without_guidance(workspace: Params) -> None:
    entry = load("k4")["subjects"]["k4"]
    assert (entry["solver"], entry["steps"], entry["guidance_scale"], entry["forwards"]) == ("euler", 2, 1.0, 2)
    assert entry["checkpoint"] == documents.load_manifest(Path("data/students/k4")).content


def test_each_metric_has_its_direction_its_count_and_its_spread_over_seeds(workspace: Params) -> None:
    metrics = load("k4")["subjects"]["k4"]["metrics"]
    assert metrics.keys() >= PAIRED | {"diversity_ratio", "flicker", "agreement_colour"}
    for name, found in metrics.items():
        assert found["direction"] == CATALOGUE[name].direction
    assert metrics["psnr"]["num_samples"] == 2 * NUM_PROMPTS
    assert metrics["psnr"]["spread"] > 0
    assert metrics["diversity_ratio"]["num_samples"] == 4


def test_what_cannot_be_computed_is_absent(workspace: Params) -> None:
    """Six samples are too few for a Fréchet distance, and the reference has no distance to itself."""
    assert not any(name.startswith("frechet") for name in load("k4")["subjects"]["k4"]["metrics"])
    reference = load("teacher")["subjects"]["teacher-8"]["metrics"]
    assert not PAIRED & reference.keys()
    assert "agreement_colour" in reference


def test_all_share_one_protocol_and_its_hash(workspace: Params) -> None:
    protocols = [load(name)["protocol"] for name in ("teacher", "k1", "k4")]
    assert protocols[0] == protocols[1] == protocols[2]
    rest = {key: value for key, value in protocols[0].items() if key != "hash"}
    assert protocols[0]["hash"] == artifacts.hash_json(rest)
    assert rest["seeds"] == [0, 1]


def test_metrics_json_holds_the_same_values(workspace: Params) -> None:
    metrics = json.loads(Path("data/evaluations/k1/metrics.json").read_text())
    entry = load("k1")["subjects"]["k1"]
    expected = {name: found["value"] for name, found in entry["metrics"].items()}
    assert metrics == {"k1": {"forwards": 8, **expected}}


def test_curves_meet_the_score_at_the_end(workspace: Params) -> None:
    with Path("data/evaluations/k4/curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["forwards"]) for row in rows] == [1, 2]
    assert float(rows[-1]["sigma"]) == 0
    error = load("k4")["subjects"]["k4"]["metrics"]["trajectory_error"]["value"]
    assert float(rows[-1]["trajectory_error"]) == pytest.approx(error, abs=1e-5)


def test_shown_clips_are_listed_with_their_prompts(workspace: Params) -> None:
    folder = Path("data/evaluations/teacher/samples")
    assert documents.verify(folder) == []
    clips = documents.load_manifest(folder, documents.ClipsFacts).facts.clips
    assert {clip["subject"] for clip in clips} == {"teacher-8", "teacher-2", "teacher-4-unipc"}
    assert len(clips) == 6
    first = next(clip for clip in clips if clip["subject"] == "teacher-8")
    assert first["prompt"].startswith("a ")


def test_differences_stand_beside_the_shown_clips_of_all_but_the_reference(workspace: Params) -> None:
    facts = documents.load_manifest(Path("data/evaluations/teacher/samples"), documents.ClipsFacts).facts
    of = {name: [(clip["subject"], clip["prompt"]) for clip in facts[name]] for name in ("clips", "differences")}
    assert of["differences"] == [(subject, prompt) for subject, prompt in of["clips"] if subject != "teacher-8"]
    assert {Path(clip["file"]).stem for clip in facts["differences"]} == {
        f"{Path(clip['file']).stem}-difference" for clip in facts["clips"] if clip["subject"] != "teacher-8"
    }


def test_profiles_have_a_value_for_each_frequency_and_each_pair_of_frames(workspace: Params) -> None:
    for name, subjects in {"teacher": {"teacher-8", "teacher-2", "teacher-4-unipc"}, "k4": {"k4"}}.items():
        profiles = json.loads(Path(f"data/evaluations/{name}/profiles.json").read_text())
        assert profiles["protocol"] == load(name)["protocol"]["hash"]
        assert profiles["subjects"].keys() == subjects
        for profile in profiles["subjects"].values():
            assert profile["space"]["frequency"] == pytest.approx([ring / 64 for ring in range(1, 33)])
            assert profile["time"]["frequency"] == pytest.approx([1 / 5, 2 / 5])
            assert [len(profile[key]["power"]) for key in ("space", "time")] == [32, 2]
            assert len(profile["motion"]) == len(profile["motion_top"]) == 4


def test_rerun_writes_the_same_bytes(workspace: Params) -> None:
    folder = Path("data/evaluations/k4")
    before = artifacts.list_files(folder)
    evaluate.run(workspace, "k4")
    assert artifacts.list_files(folder) == before


def test_the_teacher_sampled_like_the_reference_is_the_reference(workspace: Params) -> None:
    """Error 0, PSNR at its ceiling, ratios 1."""
    same = workspace.evaluate.baselines["teacher-2"].model_copy(update={"steps": 8})
    settings = workspace.evaluate.model_copy(update={"baselines": {"teacher-again": same}})
    evaluate.run(workspace.model_copy(update={"evaluate": settings}), "teacher")
    metrics = load("teacher")["subjects"]["teacher-again"]["metrics"]
    assert metrics["trajectory_error"]["value"] < 1e-5
    assert metrics["psnr"]["value"] > 55
    for name in ("motion_ratio", "spectral_space_ratio", "diversity_ratio", "saturation_ratio"):
        if name in metrics:
            assert metrics[name]["value"] == pytest.approx(1, abs=1e-3)


def test_unknown_subject_names_the_known(workspace: Params) -> None:
    with pytest.raises(UserError, match=r"evaluate.subjects has no 'k9'; it has teacher, k1, k4"):
        evaluate.run(workspace, "k9")


def test_reference_of_other_params_is_refused_and_nothing_lost(workspace: Params) -> None:
    other = workspace.reference.model_copy(update={"guidance_scale": 2.0})
    with pytest.raises(UserError, match=r"made for reference.guidance_scale=3.0, params.yaml says 2.0"):
        evaluate.run(workspace.model_copy(update={"reference": other}), "k4")
    assert load("k4")["subjects"]


def test_missing_student_says_which_stage(workspace: Params) -> None:
    Path("data/students/k4/manifest.json").unlink()
    with pytest.raises(UserError, match=r"data/students/k4/manifest.json: no such file"):
        evaluate.run(workspace, "k4")


def test_exported_student_loads_in_plain_diffusers(workspace: Params) -> None:
    assert WanPipeline.from_pretrained("data/students/k4").transformer is not None
