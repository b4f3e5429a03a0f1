import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from gpd.artifacts import UserError
from gpd.distillation.objectives import check_objective, get_objective
from gpd.distillation.speed import noise_batch
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


def test_the_target_is_where_the_headed_students_own_step_ends(tmp_path: Path) -> None:
    stage = folding_stage(tmp_path, 1)
    batch = noise_batch(stage, 5)
    batch = dataclasses.replace(batch, states=batch.states._replace(grid_index=torch.tensor([0, 8, 16, 24, 40])))
    target = get_objective("fold").target(stage, batch, None)  # type: ignore[attr-defined]
    index, sigmas = batch.states.grid_index, stage.grid.sigmas
    with torch.no_grad():
        velocity = stage.previous(batch.states.latents, stage.grid.timesteps[index], batch.text)
    assert torch.equal(target.velocity, velocity)
    lengths = (sigmas[index + 8] - sigmas[index]).view(-1, 1, 1, 1, 1).float()
    assert torch.allclose(target.end, batch.states.latents + lengths * velocity, atol=1e-6)
