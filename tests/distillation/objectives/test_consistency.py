import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from gpd.core.sampler import walk
from gpd.core.velocity import guided, mean_velocity
from gpd.distillation.costs import STUDENT_FORWARDS
from gpd.distillation.objectives import get_objective
from gpd.distillation.objectives.consistency import consistency_target
from gpd.distillation.trainer import train_stage
from tests.distillation.test_targets import GRID, teacher_field, true_trajectory
from tests.distillation.test_trainer import SHAPE, make_stage, settings

STATES = {"stream": 0.0, "clips": 1.0, "rollouts": 0.0}
LAST = settings().stages["k8"].model_dump()


def test_the_exact_consistency_function_is_a_fixed_point() -> None:
    """A network whose prediction is where the trajectory really ends is its own target, up to the solver's step."""
    trajectory = true_trajectory()

    def exact(latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        index = torch.tensor([GRID.timesteps.tolist().index(int(t)) for t in timesteps])
        return mean_velocity(latents, trajectory[-1], GRID.sigmas[index], torch.zeros(len(latents)))

    _, teacher = teacher_field()
    for start in (0, 20, 46, 47):
        index = torch.tensor([start, start])
        target = consistency_target(trajectory[start], index, GRID, skip=1, teacher=teacher, average=exact)
        assert torch.allclose(target.velocity, exact(trajectory[start], GRID.timesteps[index]), atol=1e-6)


def test_steps_start_at_every_nth_point_and_end_in_the_end() -> None:
    step = settings().stages["k8"].model_copy(update={"tail": 6})
    assert get_objective("consistency").starts(step, 48, is_final=True).tolist() == list(range(0, 48, 6))


def test_a_consistency_student_learns_where_trajectories_end(tmp_path: Path) -> None:
    stage = dataclasses.replace(make_stage(tmp_path, 8, 1, 400, objective="consistency", states=STATES), previous=None)
    noise, text = torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(1)), torch.ones(16, 1, 1)
    teacher = guided(stage.teacher, text, stage.negative[None], torch.full((16,), 3.0))
    start = torch.zeros(16, dtype=torch.int64)
    end = walk(teacher, noise, start, 48, 1, stage.grid)

    @torch.no_grad()
    def error(network: torch.nn.Module) -> float:
        clean = noise - network(noise, stage.grid.timesteps[start], text)
        return ((clean - end).norm() / end.norm()).item()

    before = error(stage.student)
    student, _ = train_stage(stage, Accelerator(cpu=True))
    assert error(student) < 0.5 * before


def test_consistency_counts_the_average_that_it_asks(tmp_path: Path) -> None:
    stage = dataclasses.replace(make_stage(tmp_path, 8, 1, 5, objective="consistency", states=STATES), previous=None)
    _, progress = train_stage(stage, Accelerator(cpu=True))
    assert progress.forwards["teacher"] == 2 * 30
    assert progress.forwards["student"] == (STUDENT_FORWARDS + 1) * 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": {"stream": 0.5, "clips": 0.5}}, "distill.states.clips=0.5 must be 1"),
        ({"ema_decay": 0.0}, "distill.ema_decay=0 must be above 0"),
        ({"loss_weighting": "step"}, "distill.loss_weighting='step' must be 'uniform'"),
    ],
)
def test_what_it_excludes_is_named(change: dict[str, object], message: str) -> None:
    allowed = {"objective": "consistency", "states": STATES, "stages": {"k8": LAST}}
    assert not list(get_objective("consistency").excludes(settings(**allowed)))
    (mistake,) = get_objective("consistency").excludes(settings(**(allowed | change)))
    assert "distill.objective='consistency'" in mistake
    assert message in mistake
