import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from gpd.artifacts import UserError
from gpd.core.sampler import walk
from gpd.core.velocity import guided, mean_velocity
from gpd.distillation.batches import draw_states, make_batch, make_pool
from gpd.distillation.costs import STUDENT_FORWARDS
from gpd.distillation.objectives import check_objective, get_objective
from gpd.distillation.processes.share import Share
from gpd.distillation.stage import Stage
from gpd.distillation.trainer import train_stage
from gpd.params import Params
from tests.curricula import doubling_profile
from tests.distillation.test_trainer import check_resuming, make_stage, settings
from tests.toy import SteppingNetwork

FLOW = get_objective("flow_map")
STATES = {"stream": 0.0, "clips": 1.0, "rollouts": 0.0}
K8 = settings().stages["k8"].model_dump() | {"previous": "data/tiny-wan"}


def flow_stage(work: Path, iterations: int, **changes: Any) -> Stage:
    stage = make_stage(work, 8, 1, iterations, **({"objective": "flow_map", "states": STATES} | changes))
    return dataclasses.replace(stage, previous=None, previous_horizon=0, student=SteppingNetwork(*range(1, 8)))


class Told:
    """A network that notes the steps it shall learn."""

    heads = None
    steps: list[int]

    def embed_steps(self, horizons: Sequence[int]) -> None:
        self.steps = list(horizons)


def test_a_student_is_told_each_step_below_the_stages_own() -> None:
    student = Told()
    FLOW.prepare(student, Params.model_validate(doubling_profile()), "k4")  # type: ignore[arg-type]
    assert student.steps == [1, 2, 3]


def test_the_exact_flow_is_its_own_target(tmp_path: Path) -> None:
    stage = flow_stage(tmp_path, 1)
    grid = stage.grid

    def exact(latents: Any, timesteps: Any, text: Any, horizon: Any) -> torch.Tensor:
        index = (timesteps[:, None] - grid.timesteps).abs().argmin(1)
        rows = []
        for row, (start, length) in enumerate(zip(index.tolist(), horizon.tolist(), strict=True)):
            teacher = guided(stage.teacher, text[row : row + 1], stage.negative[None], torch.tensor([3.0]))
            at, x = torch.tensor([start]), latents[row : row + 1]
            end = walk(teacher, x, at, length, 1, grid)
            rows.append(mean_velocity(x, end, grid.sigmas[at], grid.sigmas[at + length]))
        return torch.cat(rows)

    states = draw_states(stage, FLOW, make_pool(stage, 1, 0, Share()), Share(), 0)
    assert len(states.horizon.unique()) > 1
    lesson = FLOW.lesson(stage, make_batch(stage, FLOW, states, 0.0), exact, exact)  # type: ignore[arg-type]
    assert torch.allclose(lesson.velocity, lesson.target, atol=1e-3)


def test_steps_start_everywhere_and_none_passes_the_end(tmp_path: Path) -> None:
    stage = flow_stage(tmp_path, 1)
    states = [draw_states(stage, FLOW, make_pool(stage, 1, 0, Share()), Share(), n) for n in range(60)]
    index, horizon = (torch.cat(parts) for parts in zip(*((s.grid_index, s.horizon) for s in states), strict=True))
    assert index.max() == 47
    assert horizon.unique().tolist() == list(range(1, 9))
    assert (index + horizon).max() == 48


@pytest.mark.parametrize("loss_weighting", ["uniform", "step"])
def test_one_network_learns_steps_of_every_length_for_six_forwards_a_sample(
    tmp_path: Path, loss_weighting: str
) -> None:
    stage = flow_stage(tmp_path, 200, loss_weighting=loss_weighting)
    student, progress = train_stage(stage, Accelerator(cpu=True))
    assert progress.after.rollout_distance < 0.6 * progress.before.rollout_distance
    assert student.steps.vectors.any(1).all()
    assert progress.forwards["student"] == (STUDENT_FORWARDS + 1) * 1200
    assert progress.forwards["teacher"] == 2 * 1200
    assert stage.teacher.num_forwards == 2 * 1200 + 2 * 12 * (2 + 2 * 8)


def test_an_interrupted_stage_ends_with_the_same_bits(tmp_path: Path) -> None:
    check_resuming(lambda folder: flow_stage(tmp_path / folder, 20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": {"stream": 0.5, "clips": 0.5}}, "distill.states.clips=0.5 must be 1"),
        ({"ema_decay": 0.0}, "distill.ema_decay=0 must be above 0"),
        ({"lora_rank": 1}, "distill.lora_rank=1 must be 0"),
        ({"stages": {"k1": K8 | {"horizon": 1}}}, "distill.stages.k1: tail=1 must be 1, horizon=1 above 1"),
        ({"stages": {"k8": K8 | {"tail": 8}}}, "distill.stages.k8: tail=8 must be 1, horizon=8 above 1"),
    ],
)
def test_what_it_excludes_is_named(change: dict[str, object], message: str) -> None:
    allowed = {"objective": "flow_map", "states": STATES, "stages": {"k8": K8}}
    check_objective(settings(**allowed))
    with pytest.raises(UserError) as refused:
        check_objective(settings(**(allowed | change)))
    assert message in str(refused.value)
