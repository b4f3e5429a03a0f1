"""Forwards counted by hand; that they are those really spent: test_trainer.py and ablation/test_plan.py."""

import pytest

from gpd.distillation.costs import (
    fill_forwards,
    forwards_per_sample,
    probe_forwards,
    probe_walk_forwards,
    restart_forwards,
)
from gpd.distillation.speed import forwards_of_sample
from gpd.params import Distill, Params
from tests.curricula import doubling_profile


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
