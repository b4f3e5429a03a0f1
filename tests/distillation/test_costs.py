"""Forwards counted by hand; that they are those really spent: test_trainer.py and ablation/test_plan.py."""

import pytest

from gpd.distillation.costs import forwards_per_sample, restart_forwards
from gpd.params import Distill
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
