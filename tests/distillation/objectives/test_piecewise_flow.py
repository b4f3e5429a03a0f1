import re
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from gpd.core.velocity import euler_step
from gpd.distillation.batches import draw_states, make_batch, make_pool
from gpd.distillation.objectives import get_objective
from gpd.distillation.processes.share import Share
from gpd.distillation.trainer import train_stage
from tests.distillation.test_trainer import make_stage, settings

FLOW = get_objective("piecewise_flow")
TWO = {name: stage for name, stage in settings().model_dump()["stages"].items() if name in ("k1", "k2")}


def test_the_piecewise_flow_is_learnt(tmp_path: Path) -> None:
    _, progress = train_stage(make_stage(tmp_path, 8, 8, 150, objective="piecewise_flow"), Accelerator(cpu=True))
    assert progress.after.residual < 0.3 * progress.before.residual
    assert progress.after.rollout_distance < 0.6 * progress.before.rollout_distance


def test_the_student_is_trained_on_the_line_to_the_targets_end(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 8, 8, 1, objective="piecewise_flow", states={"stream": 0.0, "clips": 1.0})
    pool = make_pool(stage, 1, 0, Share())
    batch = make_batch(stage, FLOW, draw_states(stage, FLOW, pool, Share(), 0), 0.0)
    target = FLOW.target(stage, batch, None)
    latents, index = FLOW.point(stage, batch, target)
    offset = index - batch.states.grid_index
    assert ((offset >= 0) & (offset < 8)).all()
    assert offset.any()
    sigmas = stage.grid.sigmas
    end = euler_step(latents, target.velocity, sigmas[index], sigmas[batch.states.grid_index + 8])
    assert torch.allclose(end, target.end, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": {"stream": 0.5, "clips": 0.0, "rollouts": 0.5}}, "distill.states.rollouts=0.5 must be 0"),
        ({"horizons": [2]}, r"distill.horizons=\[2\] must be"),
        ({"stages": settings().model_dump()["stages"]}, "distill.stages must hold one stage, not 4"),
        ({"stages": TWO}, "distill.stages must hold one stage, not 2"),
    ],
)
def test_what_it_excludes_is_named(change: dict[str, object], message: str) -> None:
    stages = {"k8": settings().stages["k8"].model_dump() | {"tail": 8}}
    allowed = {"objective": "piecewise_flow", "stages": stages}
    assert not list(FLOW.excludes(settings(**allowed)))
    (mistake,) = FLOW.excludes(settings(**(allowed | change)))
    assert "distill.objective='piecewise_flow'" in mistake
    assert re.search(message, mistake)
