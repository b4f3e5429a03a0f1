"""Forwards of the plan are those that the stages count themselves."""

from pathlib import Path

import pytest

from gpd.params import load_params
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
    """300 iterations of 16 samples at 4 + 3 forwards, a pool of 192 walks, two measurements of 48 states; a strip."""
    looked_at = 2 * 48 * (4 + 16 + 1) + 3 * (7 * 6 + 96)
    assert work_of(load_params())["distill@k8"].forwards == 4800 * 7 + fill_of_the_pool() + looked_at


def fill_of_the_pool() -> int:
    """192 slots at the starts 0, 8, .. 40: a guided evaluation for each 8 intervals from noise."""
    return 192 // 6 * 2 * (0 + 1 + 2 + 3 + 4 + 5)


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
    assert plain.forwards == checkpointed.forwards
    assert checkpointed.seconds / plain.seconds == pytest.approx(1 + 4800 / plain.forwards)
