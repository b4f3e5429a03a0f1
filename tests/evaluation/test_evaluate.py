import csv
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from diffusers import WanPipeline
from safetensors.numpy import load_file

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.documents import ClipsFacts, Evaluation, Profiles, ShownClip, SubjectScores
from gpd.evaluation import evaluate
from gpd.evaluation.decoding import FOLDER
from gpd.evaluation.metrics import METRICS
from gpd.params import Params
from gpd.sampling import sample
from gpd.sampling.samples import SampleSet, part_name, save_part
from gpd.stages import settings_of
from tests.seals import write_sealed
from tests.workspace import NUM_PROMPTS

PAIRED = {"trajectory_error", "psnr", "ssim", "colour_shift", "spectral_space_ratio", "flicker_ratio"}
NAMES = {
    "reference": "teacher-8",
    "teacher-2": "teacher-2",
    "teacher-4-unipc": "teacher-4-unipc",
    "k1": "k1",
    "k4": "k4",
}


def load(name: str) -> Evaluation:
    return documents.load_document(Evaluation, Path(f"data/evaluations/{name}/evaluation.json"), "")


def scores(name: str) -> SubjectScores:
    """Of the one subject of an evaluation."""
    (found,) = load(name).subjects.values()
    return found


def clips(name: str) -> ClipsFacts:
    return documents.load_manifest(Path(f"data/evaluations/{name}/clips"), ClipsFacts).facts


def test_each_evaluation_has_one_subject_and_says_how_it_was_sampled(workspace: Params) -> None:
    assert {name: next(iter(load(name).subjects)) for name in NAMES} == NAMES
    described = {name: (found.solver, found.steps, found.forwards) for name in NAMES if (found := scores(name))}
    assert described == {
        "reference": ("euler", 8, 16),
        "teacher-2": ("euler", 2, 4),
        "teacher-4-unipc": ("unipc", 4, 4),
        "k1": ("euler", 8, 8),
        "k4": ("euler", 2, 2),
    }
    assert scores("k4").checkpoint == documents.load_manifest(Path("data/students/k4")).content


def test_each_metric_has_its_direction_its_count_and_its_spread_over_seeds(workspace: Params) -> None:
    metrics = scores("k4").metrics
    assert metrics.keys() >= PAIRED | {"diversity_ratio", "flicker", "agreement_colour"}
    for name, found in metrics.items():
        assert found.direction == METRICS[name].direction
    assert metrics["psnr"].num_samples == 2 * NUM_PROMPTS
    assert metrics["psnr"].spread
    assert metrics["diversity_ratio"].num_samples == 2 * 3


def test_what_cannot_be_computed_is_absent(workspace: Params) -> None:
    """Six samples are too few for a Fréchet distance, and the reference has no distance to itself."""
    assert not any(name.startswith("frechet") for name in scores("k4").metrics)
    reference = scores("reference").metrics
    assert not PAIRED & reference.keys()
    assert "agreement_colour" in reference


def test_all_share_one_protocol_and_its_hash(workspace: Params) -> None:
    protocols = [load(name).protocol for name in NAMES]
    assert all(protocol == protocols[0] for protocol in protocols)
    assert protocols[0].hash == artifacts.hash_json(protocols[0].model_dump(exclude={"hash"}))
    assert protocols[0].seeds == [0, 1]


def test_metrics_json_holds_the_same_values(workspace: Params) -> None:
    metrics = json.loads(Path("data/evaluations/k1/metrics.json").read_text())
    expected = {name: found.value for name, found in scores("k1").metrics.items()}
    assert metrics == {"forwards": 8, **expected}


def test_curves_meet_the_score_at_the_end(workspace: Params) -> None:
    with Path("data/evaluations/k4/curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["forwards"]) for row in rows] == [1, 2]
    assert float(rows[-1]["sigma"]) == 0
    error = scores("k4").metrics["trajectory_error"].value
    assert float(rows[-1]["trajectory_error"]) == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize("name", ["/tmp/x", "../../x", "-x", "a/b", "", "a\nb"])
def test_a_subject_whose_name_is_a_path_writes_nothing(workspace: Params, name: str) -> None:
    path = Path("data/samples/k4/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["facts"]["subject"] = name
    write_sealed(path, manifest)
    before = sorted(Path().rglob("*"))
    with pytest.raises(UserError, match=r"samples/k4/manifest.json: facts.subject=") as caught:
        evaluate.run(workspace, "k4")
    assert "\n" not in str(caught.value)
    assert [path for path in sorted(Path().rglob("*")) if path not in before] == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("rows", ["all", "one", "further"])
def test_samples_that_are_not_finite_are_named_and_not_measured(workspace: Params, rows: str, value: float) -> None:
    folder, before = Path("data/samples/k4"), Path("data/evaluations/k4/evaluation.json").read_bytes()
    found = SampleSet(folder)
    number = len(found.samples)
    chosen = {"all": range(number), "one": [number - 1], "further": [number]}[rows]
    for part, places in itertools.groupby(chosen, lambda row: row // found.listing.batch):
        latents = load_file(folder / part_name(part))["latents"]
        latents[[row % found.listing.batch for row in places], 0, 0, 0, 0, 0] = value
        (folder / part_name(part)).unlink()  # the file is a link to everybody's
        save_part(folder / part_name(part), latents)
    documents.write_manifest(folder, found.facts, inputs=found.manifest.inputs, params=found.manifest.params)
    named = [*found.samples, *found.listing.further][chosen[0]]
    words = f"data/samples/k4: sample {named.id} of seed {named.seed} is not finite"
    with pytest.raises(UserError, match=words) as caught:
        evaluate.run(workspace, "k4")
    assert "\n" not in str(caught.value)
    assert Path("data/evaluations/k4/evaluation.json").read_bytes() == before


def test_shown_clips_are_listed_with_their_prompts(workspace: Params) -> None:
    assert documents.verify(Path("data/evaluations/reference/clips")) == []
    shown = clips("reference").clips
    assert [clip.subject for clip in shown] == ["teacher-8", "teacher-8"]
    assert shown[0].prompt.startswith("a ")


def test_differences_stand_beside_the_shown_clips_of_all_but_the_reference(workspace: Params) -> None:
    def told(shown: list[ShownClip]) -> list[tuple[str, str]]:
        return [(clip.file.removesuffix(".mp4").removesuffix("-difference"), clip.prompt) for clip in shown]

    assert clips("reference").differences == []
    facts = clips("k4")
    assert told(facts.differences) == told(facts.clips)
    assert all(clip.file.endswith("-difference.mp4") for clip in facts.differences)


def test_profiles_have_a_value_for_each_frequency_and_each_pair_of_frames(workspace: Params) -> None:
    for name in ("reference", "k4"):
        profiles = documents.load_document(Profiles, Path(f"data/evaluations/{name}/profiles.json"), "")
        assert profiles.protocol == load(name).protocol.hash
        profile = profiles.subjects[NAMES[name]]
        assert profile.space.frequency == pytest.approx([ring / 64 for ring in range(1, 33)])
        assert profile.time.frequency == pytest.approx([1 / 5, 2 / 5])
        assert [len(spectrum.power) for spectrum in (profile.space, profile.time)] == [32, 2]
        assert len(profile.motion) == len(profile.motion_top) == 4


@pytest.mark.parametrize(
    ("stage", "folder"),
    [
        ("prepare", "data/prompts"),
        ("encode", "data/latents"),
        ("sample@k4", "data/samples/k4"),
        ("evaluate@k4", "data/evaluations/k4/clips"),
    ],
)
def test_a_stage_marks_its_output_with_the_settings_that_dvc_follows(
    workspace: Params, stage: str, folder: str
) -> None:
    found = documents.load_manifest(Path(folder)).params
    assert found == settings_of(stage, workspace.model_dump())
    assert found


def test_rerun_writes_the_same_bytes(workspace: Params) -> None:
    folder = Path("data/evaluations/k4")
    before = artifacts.list_files(folder)
    evaluate.run(workspace, "k4")
    assert artifacts.list_files(folder) == before


def test_no_transformer_is_loaded(workspace: Params, tmp_path: Path) -> None:
    """The samples and the VAE are enough: neither the students nor the base model's network need to lie here."""
    before = artifacts.list_files(Path("data/evaluations/k4"))
    base = tmp_path / "base"
    shutil.copytree(workspace.model.path, base, ignore=shutil.ignore_patterns("transformer"))
    shutil.rmtree("data/students")
    subjects = {
        name: subject.model_copy(update={"checkpoint": str(base)}) if name not in ("k1", "k4") else subject
        for name, subject in workspace.sample.subjects.items()
    }
    changes = {
        "model": workspace.model.model_copy(update={"path": str(base)}),
        "sample": workspace.sample.model_copy(update={"subjects": subjects}),
    }
    evaluate.run(workspace.model_copy(update=changes), "k4")
    assert artifacts.list_files(Path("data/evaluations/k4")) == before


def test_the_teacher_sampled_like_the_reference_is_the_reference(workspace: Params) -> None:
    """Error 0, PSNR at its ceiling, ratios 1."""
    subjects = {**workspace.sample.subjects, "teacher-again": workspace.sample.reference}
    params = workspace.model_copy(update={"sample": workspace.sample.model_copy(update={"subjects": subjects})})
    sample.run(params, "teacher-again", "0/1")
    evaluate.run(params, "teacher-again")
    metrics = {name: found.value for name, found in scores("teacher-again").metrics.items()}
    assert metrics["trajectory_error"] < 1e-5
    assert metrics["psnr"] > 55
    ratios = ("motion_ratio", "spectral_space_ratio", "diversity_ratio", "saturation_ratio")
    assert [metrics[name] for name in ratios if name in metrics] == pytest.approx([1, 1, 1, 1], abs=1e-3)


def test_unknown_subject_names_the_known(workspace: Params) -> None:
    with pytest.raises(UserError, match=r"sample.subjects has no 'k9'; it has reference, .*, k1, k4"):
        evaluate.run(workspace, "k9")


def test_missing_samples_say_which_stage(workspace: Params) -> None:
    shutil.rmtree("data/samples/k4")
    with pytest.raises(UserError, match=r"data/samples/k4/manifest.json: no such file"):
        evaluate.run(workspace, "k4")


def test_samples_of_another_student_are_refused_and_nothing_lost(workspace: Params) -> None:
    manifest = Path("data/students/k4/manifest.json")
    manifest.unlink()  # it is linked to the fixture's
    shutil.copy("data/students/k1/manifest.json", manifest)
    with pytest.raises(
        UserError, match=r"data/samples/k4/manifest.json: made from another checkpoint; run `gpd sample"
    ):
        evaluate.run(workspace, "k4")
    assert load("k4").subjects


def test_exported_student_loads_in_plain_diffusers(workspace: Params) -> None:
    assert WanPipeline.from_pretrained("data/students/k4").transformer is not None


def test_several_processes_decode_and_the_figures_stay(workspace: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    before = artifacts.hash_file(Path("data/evaluations/k4/evaluation.json"))
    shutil.rmtree(FOLDER, ignore_errors=True)
    evaluate.run(workspace, "reference")
    kept = set(FOLDER.iterdir())
    monkeypatch.setenv("GPD_PROCESSES", "2")
    evaluate.run(workspace, "k4")
    assert artifacts.hash_file(Path("data/evaluations/k4/evaluation.json")) == before
    assert set(FOLDER.iterdir()) == kept  # the subject's own clips are gone
