"""The stage on the small model: its rows, the points that are kept, its noise, and bytes that the inputs decide."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.core.randomness import seeded_noise
from gpd.data.workers import companions
from gpd.documents import SamplesFacts
from gpd.params import Params
from gpd.sampling import parts, sample
from gpd.sampling.plan import make_plan, open_samples
from gpd.sampling.subjects import load_student
from tests.workspace import NUM_PROMPTS

REFERENCE, K4 = Path("data/samples/reference"), Path("data/samples/k4")


def changed(params: Params, **changes: object) -> Params:
    return params.model_copy(update={"sample": params.sample.model_copy(update=changes)})


def test_each_prompt_once_a_seed(workspace: Params) -> None:
    samples = open_samples(workspace, "reference").samples
    assert [(sample.seed, sample.index) for sample in samples] == [(s, i) for s in (0, 1) for i in range(NUM_PROMPTS)]
    assert len({sample.text for sample in samples}) == NUM_PROMPTS


def test_further_seeds_are_only_those_that_the_samples_lack(workspace: Params) -> None:
    """Two prompts from seeds 0, 1 and 2, of which 0 and 1 are there."""
    listing = open_samples(workspace, "reference").listing
    assert [(sample.seed, sample.index) for sample in listing.further] == [(2, 0), (2, 1)]
    assert listing.diversity == [[0, NUM_PROMPTS, 6], [1, NUM_PROMPTS + 1, 7]]


@pytest.mark.parametrize(
    ("name", "steps"), [("reference", [4, 8]), ("teacher-2", [1, 2]), ("teacher-4-unipc", [2, 4]), ("k1", [4, 8])]
)
def test_all_subjects_keep_the_points_of_the_last_student(workspace: Params, name: str, steps: list[int]) -> None:
    found = open_samples(workspace, name)
    assert [point.index for point in found.listing.points] == [4, 8]
    assert [point.step for point in found.listing.points] == steps
    assert found.latents([0]).shape == (1, 2, 16, 2, 8, 8)


def test_a_student_whose_horizon_does_not_divide_the_grid_keeps_the_points_that_it_comes_by(workspace: Params) -> None:
    """Horizon 3 on a grid of 8 comes by 3, 6 and 8; the last student by 4 and 8."""
    stages = {**workspace.distill.stages, "k3": workspace.distill.stages["k4"].model_copy(update={"horizon": 3})}
    subjects = {**workspace.sample.subjects, "k3": workspace.sample.subjects["k4"].model_copy(update={"steps": 3})}
    distill = workspace.distill.model_copy(update={"stages": stages})
    params = changed(workspace, subjects=subjects).model_copy(update={"distill": distill})
    Path("data/students/k3").symlink_to(Path("data/students/k4").resolve())
    assert [(point.index, point.step) for point in make_plan(params, "k3").listing.points] == [(8, 3)]


def test_the_noise_is_that_of_seed_and_index_alone(workspace: Params) -> None:
    """Fewer prompts and other batches: the same prompt ends in the same latent."""
    before = open_samples(workspace, "reference").latents([0, 1])
    fewer = changed(workspace, num_prompts=2, batch=5, diversity_prompts=0)
    sample.run(fewer, "reference", "0/1")
    found = open_samples(fewer, "reference")
    assert np.allclose(found.latents([0, 1]), before, atol=1e-4)
    assert found.diversity() is None
    assert not torch.equal(seeded_noise((4,), seed=0, index=1), seeded_noise((4,), seed=1, index=0))


def test_the_manifest_says_how_it_was_sampled(workspace: Params) -> None:
    manifest = documents.load_manifest(REFERENCE, SamplesFacts)
    facts = manifest.facts
    assert (facts.subject, facts.steps, facts.forwards, facts.num_samples) == ("teacher-8", 8, 16, 2 * NUM_PROMPTS)
    assert manifest.inputs["checkpoint"] == documents.identify(Path(workspace.model.path))
    assert documents.verify(REFERENCE) == []


def test_processes_of_any_number_write_the_same_bytes(workspace: Params) -> None:
    before = artifacts.list_files(K4)
    for shard in ("2/3", "0/3"):
        sample.run(workspace, "k4", shard)
    assert artifacts.list_files(K4) == before  # the old ones, until all parts are there
    assert list(Path(".work/sample").glob("k4-*/shards/part-*"))
    sample.run(workspace, "k4", "1/3")
    assert artifacts.list_files(K4) == before
    assert not list(Path(".work/sample").iterdir())


def test_without_a_shard_as_many_processes_as_it_is_given_write_the_same_bytes(
    workspace: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = artifacts.list_files(K4)
    monkeypatch.setenv("GPD_PROCESSES", "2")
    sample.run(workspace, "k4")
    assert artifacts.list_files(K4) == before


def test_a_finished_part_is_not_made_again(workspace: Params) -> None:
    sample.run(workspace, "k4", "0/3")
    first = next(Path(".work/sample").glob("k4-*/shards/part-00000.safetensors"))
    inode = first.stat().st_ino
    sample.run(workspace, "k4", "0/1")
    assert (K4 / first.name).stat().st_ino == inode


def test_a_run_that_is_stopped_leaves_the_old_samples(workspace: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    before = artifacts.list_files(K4)
    monkeypatch.setattr(parts, "sample_batch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sample.run(workspace, "k4", "0/1")
    assert artifacts.list_files(K4) == before


def test_samples_of_other_params_are_refused(workspace: Params) -> None:
    subjects = workspace.sample.subjects
    other = {**subjects, "reference": subjects["reference"].model_copy(update={"guidance_scale": 2.0})}
    message = r"made for sample.subjects.reference.guidance_scale=3.0, params.yaml says 2.0; run `gpd sample reference`"
    with pytest.raises(UserError, match=message):
        open_samples(changed(workspace, subjects=other), "reference")


def test_a_student_of_another_shift_is_refused(workspace: Params) -> None:
    other = workspace.model_copy(update={"model": workspace.model.model_copy(update={"shift": 7.0})})
    with pytest.raises(UserError, match=r"data/students/k4/manifest\.json: trained with model\.shift=3\.0.* says 7\.0"):
        load_student(other, Path("data/students/k4"), torch.zeros(1, 32), "cpu")


def test_too_few_prompts_are_told(workspace: Params) -> None:
    with pytest.raises(UserError, match=r"sample.num_prompts=99, but data/prompts/prompts.jsonl holds 4"):
        sample.run(changed(workspace, num_prompts=99), "reference", "0/1")
    assert documents.verify(REFERENCE) == []


def test_unknown_subject_names_the_known(workspace: Params) -> None:
    with pytest.raises(UserError, match=r"sample.subjects has no 'k9'; it has reference, teacher-2, .*, k1, k4"):
        sample.run(workspace, "k9", "0/1")


def test_missing_student_says_which_stage(workspace: Params) -> None:
    Path("data/students/k4/manifest.json").unlink()
    with pytest.raises(UserError, match=r"data/students/k4/manifest.json: no such file"):
        sample.run(workspace, "k4", "0/1")


def fail(index: int) -> None:
    if index == 1:
        raise UserError("a mistake")


def test_a_companions_mistake_ends_the_work(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ChildProcessError, match="1 of 2 processes failed with exit status 2"), companions(fail, 2):
        pass
    assert "gpd: a mistake" in capfd.readouterr().err
    assert not multiprocessing.active_children()


def test_a_trajectory_that_is_not_finite_is_refused_with_its_prompt_and_step(workspace: Params) -> None:
    part = make_plan(workspace, "reference").parts[0]
    trajectory = [torch.zeros(len(part.rows), 1, 2, 2, 2) for _ in range(4)]
    parts.check_finite("reference", part, trajectory)
    trajectory[2][1, 0, 1, 0, 1] = float("inf")
    trajectory[3][:] = float("nan")
    row = part.rows[1]
    with pytest.raises(UserError, match=f"^sample reference: .* prompt {row.index}, seed {row.seed} .* at step 2$"):
        parts.check_finite("reference", part, trajectory)


def test_a_subject_whose_numbers_go_wrong_publishes_nothing_and_keeps_its_finished_parts(
    workspace: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network's would from its second batch on."""
    params = changed(workspace, batch=2)
    plan, really = make_plan(params, "k4"), parts.sample_batch
    done: list[int] = []

    def worsening(*inputs: Any) -> list[torch.Tensor]:
        done.append(0)
        return [latents * (1 if len(done) == 1 else float("nan")) for latents in really(*inputs)]

    monkeypatch.setattr(parts, "sample_batch", worsening)
    with pytest.raises(UserError, match="are not finite at step 0"):
        sample.run(params, "k4", "0/1")
    assert [part.name for part in plan.parts if part not in parts.unfinished(plan)] == [plan.parts[0].name]
    monkeypatch.undo()
