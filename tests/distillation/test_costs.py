"""Forwards counted by hand; that they are those really spent: test_trainer.py and ablation/test_plan.py."""

from pathlib import Path

import pytest

from gpd.distillation.costs import (
    asks_previous,
    batch_forwards,
    fill_forwards,
    forwards_per_sample,
    probe_forwards,
    probe_walk_forwards,
    restart_forwards,
    strip_forwards,
)
from gpd.distillation.speed import forwards_of_sample
from gpd.params import Distill, Params
from tests.curricula import doubling_profile
from tests.distillation.test_trainer import make_stage


def settings(**changes: object) -> Distill:
    return Distill.model_validate(doubling_profile()["distill"] | changes)


def test_restarts_by_hand() -> None:
    distill = settings()
    params = distill.stages["k4"]  # tail 1: the previous student walks; offsets 1, 2, 3 are one evaluation away
    assert restart_forwards(distill, params, 48) == pytest.approx(3 / 45)
    assert restart_forwards(distill, params.model_copy(update={"tail": 4}), 48) == pytest.approx(2 * 3 / 45)
    assert restart_forwards(distill, distill.stages["k1"], 48) == 0  # offset 0 alone
    assert restart_forwards(distill, distill.stages["k8"], 48) == 0  # the last stage begins at noise


def test_a_sample_costs_the_mean_over_the_horizons_by_hand() -> None:
    states = {"stream": 0.5, "clips": 0.25, "rollouts": 0.25}
    distill = settings(states=states, teacher_walk={"solver": "adams", "stride": 2}, horizons=[2, 4])
    stage = distill.stages["k8"].model_copy(update={"tail": 8})
    # streamed: 4 guided evaluations; clips: 1 or 2 of them; roll-outs: none; the student's own three
    assert forwards_per_sample(distill, stage, 0, 48) == pytest.approx(0.5 * 8 + 0.25 * (2 + 4) / 2 + 3)
    plain = distill.model_copy(update={"horizons": []})
    assert forwards_per_sample(plain, stage, 0, 48) == 0.75 * 8 + 3


def test_a_pool_is_filled_only_if_states_stream() -> None:
    stage = settings().stages["k8"]
    assert fill_forwards(settings(states={"stream": 0.0, "clips": 1.0, "rollouts": 0.0}), stage, 48) == 0
    assert fill_forwards(settings(states={"stream": 1.0, "clips": 0.0, "rollouts": 0.0}), stage, 48) > 0


def test_a_measurement_by_hand() -> None:
    """Of each of 10 states the target (8 guided evaluations), the true roll-out (8 guided ones) and the student."""
    distill = settings(probe={"num_states": 10})
    stage = distill.stages["k8"].model_copy(update={"tail": 8})
    assert probe_forwards(distill, stage, 0) == 10 * (2 * 8 + 2 * 8 + 1)
    # without clips two walks each to 0, 8, 24 and 32, one each to 16 and 40: of n evaluations to 8 n, guided
    assert probe_walk_forwards(distill, stage, 48) == 2 * (2 * (0 + 1 + 3 + 4) + 2 + 5)


def test_a_stages_sample_is_counted_beside_the_next_shorter_stage() -> None:
    params = Params.model_validate(doubling_profile())
    stages = params.distill.stages
    for name, shorter in {"k1": 0, "k2": 1, "k4": 2, "k8": 4}.items():
        expected = forwards_per_sample(params.distill, stages[name], shorter, params.model.grid_steps)
        assert forwards_of_sample(params, name) == expected


def test_a_sample_of_one_shorter_horizon_by_hand() -> None:
    """Of 8 evaluations and of 4, a quarter of the samples at the latter; the student's own three on top."""
    states = {"stream": 0.75, "clips": 0.25, "rollouts": 0.0}
    distill = settings(states=states, horizons=[4])
    stage = distill.stages["k8"].model_copy(update={"tail": 8})
    assert forwards_per_sample(distill, stage, 0, 48) == 0.75 * 16 + 0.25 * 8 + 3


def test_a_share_that_falls_costs_what_it_does_in_the_mean() -> None:
    """Of a block of 4 intervals the teacher walks 4 at first and none at last, 2 in the mean; one increment on top."""
    states = {"stream": 0.0, "clips": 1.0, "rollouts": 0.0}
    distill = settings(objective="parallel", states=states, teacher_share={"start": 1.0, "end": 0.0})
    stage = distill.stages["k4"].model_copy(update={"tail": 4})
    assert forwards_per_sample(distill, stage, 0, 48) == pytest.approx(2 * (2 + 1) + 3, abs=1e-9)
    own_way = 2 * 1 + 2 * 4 + 1  # probed without the teacher's part
    assert probe_forwards(distill, stage, 0) == distill.probe.num_states * own_way


def test_a_batch_costs_its_targets_and_the_students_part(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 8, 8, 1)  # guided evaluations at every interval
    assert batch_forwards(stage, {}, 0.0) == {"student": 3 * 6}
    assert batch_forwards(stage, {8: 4, 2: 1}, 0.0) == {"student": 3 * 6, "teacher": 4 * 16 + 4, "previous": 0}
    consistency = make_stage(tmp_path, 8, 1, 1, objective="consistency", states={"stream": 0.0, "clips": 1.0})
    assert batch_forwards(consistency, {8: 5}, 0.0) == {"student": 3 * 6 + 5, "teacher": 2 * 5}


@pytest.mark.parametrize(
    ("objective", "horizon", "tail", "is_asked"),
    [
        ("gpd", 2, 1, True),
        ("gpd", 8, 1, True),
        ("gpd", 8, 8, False),
        ("consistency", 8, 1, False),
        ("fold", 8, 8, True),
    ],
)
def test_the_student_before_is_asked_where_a_target_jumps_or_folds(
    objective: str, horizon: int, tail: int, is_asked: bool
) -> None:
    distill = settings(objective=objective)
    stage = distill.stages["k8"].model_copy(update={"horizon": horizon, "tail": tail})
    assert asks_previous(distill, stage) is is_asked


def test_a_stage_is_final_where_its_students_steps_are_few_enough() -> None:
    """A student of 5 steps of a grid of 48 has steps of 9 intervals; restarts of a final stage walk nowhere."""
    distill = settings().model_copy(update={"final_steps": 5})
    stage = distill.stages["k8"].model_copy(update={"tail": 8})
    assert restart_forwards(distill, stage, 48) == pytest.approx(2 * 7 / 41)  # offsets 1 .. 7 one evaluation away
    assert restart_forwards(distill, stage.model_copy(update={"horizon": 9, "tail": 9}), 48) == 0.0


def test_samples_on_the_way_by_hand() -> None:
    """Begun, after 8, 16 and at the end after 20 iterations, in steps of 5 of 48; the guided teacher's once."""
    strip = {"num_states": 2, "strip": {"every": 8, "num_prompts": 3}}
    stage = settings().stages["k8"].model_copy(update={"horizon": 5, "tail": 5, "iterations": 20})
    assert strip_forwards(settings(probe=strip), stage, 48) == 3 * (4 * 10 + 96)
    assert strip_forwards(settings(probe={"num_states": 2, "strip": None}), stage, 48) == 0
