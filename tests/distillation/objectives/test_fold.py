import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from gpd.artifacts import UserError
from gpd.distillation.objectives import check_objective
from gpd.distillation.stage import Stage
from gpd.distillation.trainer import train_stage
from gpd.models.heads import Fused
from tests.distillation.test_trainer import make_stage, settings
from tests.toy import HeadedNetwork

K8 = settings().stages["k8"].model_dump() | {"tail": 8, "previous": "data/tiny-wan"}
FOLD = K8 | {"previous": "data/students/k8", "objective": "fold"}


def folding_stage(work: Path, iterations: int) -> Stage:
    stage = make_stage(work, 8, 8, iterations)
    headed = HeadedNetwork().requires_grad_(False)
    torch.nn.init.normal_(headed.heads.weight, std=0.5)
    return dataclasses.replace(
        stage,
        params=stage.params.model_copy(update={"objective": "fold"}),
        previous=Fused(headed, stage.grid, 8),
        previous_horizon=8,
    )


def test_a_plain_network_learns_the_step_of_the_heads_for_four_forwards_a_sample(tmp_path: Path) -> None:
    stage = folding_stage(tmp_path, 150)
    _, progress = train_stage(stage, Accelerator(cpu=True))
    assert progress.after.residual < 0.5 * progress.before.residual
    walked = progress.forwards["previous"] - 6 * 150  # to where the pool's first trajectories begin
    assert walked == 4 * 15
    assert stage.previous.network.num_forwards == progress.forwards["previous"] + 2 * 12
    assert progress.forwards["teacher"] == 0


def test_a_fold_follows_heads_of_its_own_horizon() -> None:
    check_objective(settings(objective="parallel", stages={"k8": K8, "k8-fold": FOLD}))
    with pytest.raises(UserError, match=r"distill.stages.k8-fold.objective='fold': the stage before it must be one of"):
        check_objective(settings(stages={"k8": K8, "k8-fold": FOLD}))
    with pytest.raises(UserError, match=r"distill.stages.k8-fold.objective='fold': the stage before it must be one of"):
        check_objective(settings(objective="parallel", stages={"k8-fold": FOLD}))
    longer = FOLD | {"horizon": 16, "tail": 16}
    with pytest.raises(UserError, match="its horizon=16 must be 8, that of the heads before it"):
        check_objective(settings(objective="parallel", stages={"k8": K8, "k16-fold": longer}))
