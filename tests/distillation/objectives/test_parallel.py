import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from gpd.artifacts import UserError
from gpd.core.sampler import walk, walk_adams
from gpd.core.velocity import guided
from gpd.distillation.batches import draw_states, make_batch, make_pool
from gpd.distillation.costs import STUDENT_FORWARDS, forwards_per_sample
from gpd.distillation.objectives import check_objective, get_objective
from gpd.distillation.objectives.parallel import INCREMENTS, Point, drive, mix_of, num_driven, point_of
from gpd.distillation.processes.share import Share
from gpd.distillation.stage import Stage
from gpd.distillation.states import Batch
from gpd.distillation.trainer import train_stage
from tests.distillation.test_trainer import check_resuming, make_stage, settings
from tests.toy import HeadedNetwork

PARALLEL = get_objective("parallel")
TAUGHT = {"objective": "parallel"}
CLIPS = {"stream": 0.0, "clips": 1.0}
MIXED = {"start": 1.0, "end": 0.0}


def headed_stage(work: Path, horizon: int, iterations: int, **changes: Any) -> Stage:
    stage = make_stage(work, horizon, horizon, iterations, **(TAUGHT | changes))
    return dataclasses.replace(stage, student=HeadedNetwork())


def first_batch(stage: Stage) -> Batch:
    pool = make_pool(stage, 1, 0, Share())
    return make_batch(stage, PARALLEL, draw_states(stage, PARALLEL, pool, Share(), 0), 0.0)


class ExactField(torch.nn.Module):
    """Increments of the guided teacher's own way from wherever a block starts, of which `mix` takes its shares."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor, mix: Any) -> torch.Tensor:
        grid, scale = self.stage.grid, torch.full((len(latents),), 3.0)
        teacher = guided(self.stage.teacher, text, self.stage.negative[None], scale)
        index = (timesteps[:, None] - grid.timesteps).abs().argmin(1)
        increments = torch.zeros(len(latents), 48, *latents.shape[1:])
        for _ in range(self.stage.params.horizon):
            increments[torch.arange(len(latents)), index] = teacher(latents, grid.timesteps[index])
            latents = walk(teacher, latents, index, 1, 1, grid)
            index = (index + 1).clamp(max=47)
        return torch.einsum("bmn,bn...->bm...", mix.float(), increments)


@pytest.mark.parametrize(("horizon", "share"), [(1, 0.0), (8, 0.0), (8, 0.5), (8, 1.0), (24, 0.3)])
def test_the_teachers_own_increments_have_no_loss_and_end_where_it_ends(
    tmp_path: Path, horizon: int, share: float
) -> None:
    """Whoever walks the block, and however much of it."""
    changes = {"states": CLIPS, "final_steps": max(2, 48 // horizon), "teacher_share": {"start": share, "end": share}}
    stage = headed_stage(tmp_path, horizon, 1, **changes)
    batch = first_batch(stage)
    lesson = PARALLEL.lesson(stage, batch, ExactField(stage), None)
    assert torch.allclose(lesson.velocity, lesson.target, atol=1e-4)
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    end = walk(teacher, batch.states.latents, batch.states.grid_index, horizon, 1, stage.grid)
    assert torch.allclose(lesson.end, end, atol=1e-4)


def test_with_the_whole_share_states_are_the_teachers_own_way_whatever_the_student(tmp_path: Path) -> None:
    whole = {"states": CLIPS, "teacher_share": {"start": 1.0, "end": 1.0}}
    stage = headed_stage(tmp_path, 8, 1, **whole)
    batch = first_batch(stage)
    offset = point_of(stage, batch).interval - batch.states.grid_index
    assert len(offset.unique()) > 2
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    lessons = [PARALLEL.lesson(stage, batch, network, None) for network in (HeadedNetwork(), ExactField(stage))]
    for row, number in enumerate(offset.tolist()):
        index = batch.states.grid_index
        passed = walk(teacher, batch.states.latents, index, number, 1, stage.grid)
        expected = teacher(passed, stage.grid.timesteps[index + number])
        for lesson in lessons:
            assert torch.equal(lesson.target[row], expected[row])
    assert torch.equal(lessons[0].end, lessons[1].end)


def test_the_share_falls_from_all_to_nothing_by_hand(tmp_path: Path) -> None:
    distill = settings(**TAUGHT, teacher_share=MIXED)
    shares = [num_driven(distill, 8, progress) for progress in (0.0, 0.05, 0.1, 0.5, 0.9, 0.95, 1.0)]
    assert shares == [8, 8, 7, 4, 1, 0, 0]
    assert {num_driven(settings(**TAUGHT), 8, progress) for progress in (0.0, 0.5, 1.0)} == {0}


@pytest.mark.parametrize(("solver", "stride"), [("euler", 1), ("adams", 3)])
def test_the_teachers_part_is_its_own_walk(tmp_path: Path, solver: str, stride: int) -> None:
    """Its end is that of the sampler's walk; where it enters lies on it."""
    changes = {"states": CLIPS, "teacher_share": {"start": 0.75, "end": 0.75}}
    stage = headed_stage(tmp_path, 8, 1, **changes, teacher_walk={"solver": solver, "stride": stride})
    batch = first_batch(stage)
    point = point_of(stage, batch)
    driven = drive(stage, batch, point)
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    walked = {"euler": walk, "adams": walk_adams}[solver](
        teacher, batch.states.latents, point.start, 6, stride, stage.grid
    )
    assert torch.equal(driven.turn, walked)
    exact = torch.cat(
        [
            walk(teacher, batch.states.latents, point.start, number, 1, stage.grid)[row : row + 1]
            for row, number in enumerate((point.entry - point.start).tolist())
        ]
    )
    if stride == 1:
        assert torch.equal(driven.entry, exact)
    assert (driven.entry - exact).norm() < 0.2 * (exact - batch.states.latents).norm()


def test_with_one_increment_a_block_it_is_guidance_absorption(tmp_path: Path) -> None:
    stage = headed_stage(tmp_path, 1, 1)
    absorbing = get_objective("gpd")
    plain = make_stage(tmp_path, 1, 1, 1)
    batch = first_batch(stage)
    lesson = PARALLEL.lesson(stage, batch, stage.student, None)
    expected = absorbing.lesson(plain, batch, plain.student, None)
    assert torch.allclose(lesson.target, expected.target, atol=1e-3)  # of the end of a step it is the rounded slope
    assert torch.equal(lesson.weight, expected.weight)


def test_a_headed_student_is_asked_for_the_parts_of_each_samples_block(tmp_path: Path) -> None:
    stage = headed_stage(tmp_path, 8, 1)
    batch = first_batch(stage)
    (name, mix), *others = PARALLEL.asked(stage, batch).items()
    assert (name, others) == ("mix", [])
    assert torch.equal(mix, mix_of(stage.grid.sigmas, point_of(stage, batch)))


def test_parts_of_a_block_by_hand() -> None:
    sigmas = torch.tensor([1.0, 0.9, 0.6, 0.0])
    start, one, interval, end = (torch.tensor([value]) for value in (0, 1, 2, 3))
    (mix,) = mix_of(sigmas, Point(start, end, start, interval))
    assert torch.allclose(mix, torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0], [0.1, 0.3, 0.6]]))
    (mix,) = mix_of(sigmas, Point(start, end, one, interval))  # the teacher walks the first interval
    assert torch.allclose(mix, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1 / 3, 2 / 3]]))
    (mix,) = mix_of(sigmas, Point(start, end, end, one))  # it walks past the drawn one, to the end
    assert torch.allclose(mix, torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))


def test_heads_learn_the_exact_flow(tmp_path: Path) -> None:
    _, progress = train_stage(headed_stage(tmp_path, 8, 300), Accelerator(cpu=True))
    assert progress.after.residual < 0.1 * progress.before.residual
    assert progress.after.rollout_distance < 0.3 * progress.before.rollout_distance


def test_a_share_that_falls_is_counted_and_reckoned(tmp_path: Path) -> None:
    changes = {"teacher_share": MIXED, "teacher_walk": {"solver": "adams", "stride": 4}, "states": CLIPS}
    stage = headed_stage(tmp_path, 8, 40, **changes, ema_decay=0.0)
    _, progress = train_stage(stage, Accelerator(cpu=True))
    probes = 2 * 12 * (2 + 2 * 8)
    assert stage.teacher.num_forwards == progress.forwards["teacher"] + probes
    evaluations = [-(-num_driven(stage.distill, 8, iteration / 40) // 4) for iteration in range(40)]
    assert {*evaluations} == {0, 1, 2}
    assert progress.forwards["teacher"] == 6 * sum(2 * (number + 1) for number in evaluations)
    reckoned = 240 * forwards_per_sample(stage.distill, stage.params, 0, 48)
    assert progress.forwards["teacher"] + progress.forwards["student"] == pytest.approx(reckoned, rel=0.01)


@pytest.mark.parametrize(("increment", "evaluations"), [("euler", 1), ("midpoint", 2)])
def test_the_ledger_is_what_the_networks_counted(tmp_path: Path, increment: str, evaluations: int) -> None:
    stage = headed_stage(tmp_path, 8, 10, increment=increment, ema_decay=0.0)
    _, progress = train_stage(stage, Accelerator(cpu=True))
    assert stage.student.num_forwards == 60 + 2 * 12  # of training, and the probes
    assert progress.forwards["student"] == STUDENT_FORWARDS * 60
    probes = 2 * 12 * (2 * evaluations + 2 * 8)
    assert stage.teacher.num_forwards == progress.forwards["teacher"] + probes
    assert progress.forwards["probe"] == probes + 2 * 12


def test_the_midpoint_is_of_second_order(tmp_path: Path) -> None:
    """Against the teacher walked very finely, one interval's increment is several times as near as Euler's."""
    from gpd.core.schedule import make_grid

    stage = headed_stage(tmp_path, 8, 1, states={"stream": 0.0, "clips": 1.0})
    batch, fine = first_batch(stage), make_grid(48 * 16, 3.0)
    teacher = stage.guided_teacher(batch.text, batch.guidance_scale)
    index = torch.full((len(batch.numbers),), 40)
    x = batch.states.latents
    exact = (walk(teacher, x, 16 * index, 16, 1, fine) - x) / (fine.sigmas[640 + 16] - fine.sigmas[640]).float()
    error = {
        name: (increment(teacher, x, index, stage.grid) - exact).norm().item() for name, increment in INCREMENTS.items()
    }
    assert error["midpoint"] < 0.3 * error["euler"]


@pytest.mark.parametrize("share", [{}, {"teacher_share": MIXED}])
def test_an_interrupted_stage_ends_with_the_same_bits(tmp_path: Path, share: dict[str, object]) -> None:
    check_resuming(lambda folder: headed_stage(tmp_path / folder, 4, 20, **share))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": {"stream": 0.5, "clips": 0.0, "rollouts": 0.5}}, "distill.states.rollouts=0.5 must be 0"),
        ({"lora_rank": 1}, "distill.lora_rank=1 must be 0"),
        ({"horizons": [2]}, "distill.horizons=[2] must be []"),
    ],
)
def test_what_it_excludes_is_named(change: dict[str, object], message: str) -> None:
    stages = {"k8": settings().stages["k8"].model_dump() | {"tail": 8}}
    allowed = {"objective": "parallel", "stages": stages}
    check_objective(settings(**allowed))
    with pytest.raises(UserError) as refused:
        check_objective(settings(**(allowed | change)))
    assert str(refused.value).startswith("params.yaml: distill.objective='parallel'")
    assert message in str(refused.value)
    jumping = {"k8": settings().stages["k8"].model_dump() | {"tail": 1}}
    with pytest.raises(UserError, match=r"distill.stages.k8.tail=1 must be 8: 'parallel' has no jump"):
        check_objective(settings(objective="parallel", stages=jumping))


def test_a_target_costs_the_teachers_part_of_the_block_at_the_stages_beginning() -> None:
    """Of 8 intervals in strides of 3 three guided evaluations, and the increment's one or two."""
    step = settings().stages["k8"]
    mixed = {**TAUGHT, "teacher_share": MIXED, "teacher_walk": {"solver": "adams", "stride": 3}}
    assert PARALLEL.forwards(settings(**mixed), step, 0) == {"teacher": 2 * (3 + 1)}
    assert PARALLEL.forwards(settings(**mixed, increment="midpoint"), step, 0) == {"teacher": 2 * (3 + 2)}
    assert PARALLEL.forwards(settings(**mixed).at(1.0), step, 0) == {"teacher": 2}


def test_a_midpoint_increment_asks_where_it_says(tmp_path: Path) -> None:
    """At the interval's start and in its middle, half an Euler step on; timesteps are 1000 sigma."""
    grid, asked = make_stage(tmp_path).grid, []

    def teacher(latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        asked.append((latents, timesteps.tolist()))
        return torch.ones_like(latents)

    index, x = torch.tensor([0, 30]), torch.zeros(2, 1, 1, 1, 1)
    INCREMENTS["midpoint"](teacher, x, index, grid)
    (first, at), (halfway, between) = asked
    middle = (grid.sigmas[index] + grid.sigmas[index + 1]) / 2
    assert (first is x, at) == (True, grid.timesteps[index].tolist())
    assert between == pytest.approx((1000 * middle).tolist())
    assert halfway.flatten().tolist() == pytest.approx((middle - grid.sigmas[index]).tolist())


def test_an_increment_weighs_as_much_as_its_interval_is_long(tmp_path: Path) -> None:
    """Beside the mean of all 48, which is a 48th."""
    stage = headed_stage(tmp_path, 8, 1, loss_weighting="step")
    batch = first_batch(stage)
    interval, sigmas = point_of(stage, batch).interval, stage.grid.sigmas
    expected = 48 * (sigmas[interval] - sigmas[interval + 1])
    assert torch.allclose(PARALLEL.lesson(stage, batch, stage.student, None).weight, expected.float(), atol=1e-6)
