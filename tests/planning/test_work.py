"""Forwards of the plan are those that the stages count themselves."""

from pathlib import Path

import pytest

from gpd.params import StageParams, load_params
from gpd.planning.base import find_base
from gpd.planning.devices import DEVICES
from gpd.planning.memory import Memory
from gpd.planning.work import Material, plan_work
from gpd.sampling.plan import subject_forwards

ROOT = Path(__file__).parents[2]
ONE = Memory("one", 1, 1, 1, {}, 0.0)


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def work_of(params, number: int = 1):
    material = Material(texts=1000, clips=1000, is_assumed=False)
    found = plan_work(params, find_base(params.model), DEVICES["h100"], number, ONE, material)
    return {work.stage: work for work in found}


def test_every_stage_of_the_pipeline_is_in_it():
    params = load_params()
    subjects = params.sample.subjects
    stages = {"encode", *(f"distill@{name}" for name in params.distill.stages)}
    stages |= {f"{command}@{name}" for command in ("sample", "evaluate") for name in subjects}
    assert set(work_of(params)) == stages


def test_the_defaults_own_figures():
    """16 samples an iteration, each the forwards of its target and 3; a pool of 192 walks; two measurements; strips."""
    params = load_params()
    found, (k4, k8, k16) = work_of(params), params.distill.stages.values()
    measurements = 2 * params.distill.probe.num_states
    # One guided evaluation; the true way over 4 intervals, the target, the student
    assert found["distill@k4"].forwards == 16 * k4.iterations * 5 + fill_of_the_pool(12) + (
        measurements * (8 + 2 + 1) + strip(k4)
    )
    assert found["distill@k8"].forwards == 16 * k8.iterations * 7 + fill_of_the_pool(6) + (
        measurements * (16 + 4 + 1) + strip(k8)
    )
    # A step of k8 and two guided evaluations
    assert found["distill@k16"].forwards == 16 * k16.iterations * 8 + fill_of_k16() + (
        measurements * (32 + 5 + 1) + strip(k16)
    )


def strip(stage: StageParams) -> int:
    """Two prompts: the student at the start, every 30 iterations and at the end, and the guided teacher in 48 steps."""
    return 2 * ((-(-stage.iterations // 30) + 1) * 48 // stage.horizon + 96)


def fill_of_the_pool(steps: int) -> int:
    """192 slots at the starts of so many steps: a guided evaluation for each 8 intervals from noise."""
    return 192 // steps * 2 * sum(-(-start // 8) for start in range(0, 48, 48 // steps))


def fill_of_k16() -> int:
    """192 slots at the starts 0, 16, 32: walked by k8, two unguided steps to each start."""
    return 192 // 3 * (0 + 2 + 4)


def test_samples_are_prompts_and_what_diversity_needs_besides():
    params = load_params()
    for name, subject in params.sample.subjects.items():
        rows = params.sample.num_prompts + params.sample.diversity_prompts * (params.sample.diversity_seeds - 1)
        assert work_of(params)[f"sample@{name}"].forwards == rows * subject_forwards(subject)


def test_devices_share_out_samples_to_the_last_part():
    params = load_params()  # 76 rows in parts of 16 are 5 parts
    one, four, eight = (work_of(params, number)["sample@reference"] for number in (1, 4, 8))
    assert (one.devices, four.devices, eight.devices) == (1, 4, 5)
    assert four.seconds == pytest.approx(one.seconds * 2 / 5)
    assert eight.seconds == pytest.approx(one.seconds / 5)


def test_checkpointing_takes_a_forward_more_and_counts_none():
    params = load_params()
    model = params.model.model_copy(update={"gradient_checkpointing": True})
    plain, checkpointed = (work_of(each)["distill@k8"] for each in (params, params.model_copy(update={"model": model})))
    samples = 16 * params.distill.stages["k8"].iterations
    assert plain.forwards == checkpointed.forwards
    assert checkpointed.seconds / plain.seconds == pytest.approx(1 + samples / plain.forwards)
