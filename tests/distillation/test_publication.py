import pytest
import torch

from gpd.distillation.ledger import Ledger
from gpd.distillation.publication import _facts, summary
from gpd.documents import Probed
from gpd.params import Params
from tests.curricula import doubling_profile
from tests.toy_family import ToyNetwork


def test_the_line_that_a_stage_leaves() -> None:
    ledger = Ledger(samples_seen=1200, forwards={"teacher": 1000, "student": 234})
    ledger.before, ledger.after = (
        Probed(residual=0.5, rollout_distance=0.25),
        Probed(residual=0.125, rollout_distance=0.1),
    )
    assert summary("k8", ledger, 12.4) == (
        "distill k8: residual 0.5000 -> 0.1250, distance to the true roll-out 0.250 -> 0.100, "
        "1,200 samples, 1,234 forwards, 12 s"
    )


PROBED = Probed(residual=0.5, rollout_distance=0.25)
DONE = Ledger(samples_seen=12, losses=[0.5, 0.25], forwards={"teacher": 8}, before=PROBED, after=PROBED)


@pytest.mark.parametrize(("horizon", "steps"), [(8, 6), (48, 1), (5, None), (47, None)])
def test_a_student_of_a_plain_pipeline_has_as_many_steps_as_its_horizon_divides(
    horizon: int, steps: int | None
) -> None:
    params = Params.model_validate(doubling_profile())
    stages = {"k8": params.distill.stages["k8"].model_copy(update={"horizon": horizon})}
    params = params.model_copy(update={"distill": params.distill.model_copy(update={"stages": stages})})
    student = ToyNetwork(torch.nn.Linear(1, 1))
    facts = _facts(params, "k8", DONE, student)
    assert (facts.stage, facts.horizon, facts.grid_steps, facts.sampling_steps) == ("k8", horizon, 48, steps)
    assert (facts.horizons, facts.heads, facts.base_path) == ([], None, None)
    assert (facts.iterations, facts.samples_seen, facts.forwards) == (2, 12, {"teacher": 8})
    student.embed_steps([1, 2])
    assert _facts(params, "k8", DONE, student).horizons == [1, 2]
