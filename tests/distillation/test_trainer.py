import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from gpd.core.precision import multiplies_bfloat16
from gpd.core.schedule import make_grid
from gpd.core.velocity import guided
from gpd.distillation.costs import STUDENT_FORWARDS, fill_forwards, target_forwards
from gpd.distillation.processes.stopping import Stop
from gpd.distillation.processes.stopping import StoppedError as Stopped
from gpd.distillation.saving.train_state import MARKER
from gpd.distillation.schedules import has_stalled
from gpd.distillation.stage import Stage
from gpd.distillation.targets import Route, make_target
from gpd.distillation.trainer import REPORT_EVERY, is_report_due, make_accelerator, train_stage
from gpd.params import Distill
from tests.curricula import doubling_profile
from tests.toy import GaussianField, SmallNetwork, SteppingNetwork, block_networks

SHAPE = (2, 2, 4, 4)


def settings(**changes: object) -> Distill:
    """The miniature's distill section with a small pool; `changes` by key."""
    distill = doubling_profile()["distill"]
    distill |= {"pool_slots": 24, "warmup_iterations": 2, "ema_decay": 0.9, "save_every_seconds": 10**9}
    distill["probe"] = {"num_states": 12}
    for key, value in changes.items():
        is_part = isinstance(value, dict) and key != "stages"
        distill[key] = {**distill[key], **value} if is_part else value  # type: ignore[dict-item]
    return Distill.model_validate(distill)


def make_stage(work: Path, horizon: int = 1, tail: int = 1, iterations: int = 30, **changes: object) -> Stage:
    distill = settings(**changes)
    params = distill.stages["k1"].model_copy(
        update={"horizon": horizon, "tail": tail, "iterations": iterations, "batch": 6, "learning_rate": 1e-2}
    )
    generator = torch.Generator().manual_seed(0)
    texts = [torch.tensor([[mean]]) for mean in (1.0, -1.0, 0.5, 2.0)]
    clips = [(number.item() + 0.5 * torch.randn(SHAPE, generator=generator), n) for n, number in enumerate(texts)]
    previous = None if tail == horizon else GaussianField()
    return Stage(
        name=f"k{horizon}",
        params=params,
        distill=distill,
        grid=make_grid(48, 3.0),
        latent_shape=SHAPE,
        student=SmallNetwork(),
        teacher=GaussianField(),
        previous=previous,
        previous_horizon=0 if previous is None else max(1, horizon - tail),
        texts=texts,
        num_prompts=3,
        negative=torch.zeros(1, 1),
        clips=clips,
        rollouts=[],
        work=work,
        strip_prompts={f"p-{number}": number for number in range(3)},
    )


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.parametrize(("horizon", "tail"), [(1, 1), (2, 1), (8, 4), (8, 8)])
def test_training_brings_the_student_to_the_target_and_the_true_roll_out(
    tmp_path: Path, horizon: int, tail: int
) -> None:
    _, progress = train_stage(make_stage(tmp_path, horizon, tail, iterations=150), Accelerator(cpu=True))
    assert progress.after.residual < 0.3 * progress.before.residual
    assert progress.after.rollout_distance < 0.6 * progress.before.rollout_distance


def test_weighting_by_steps_changes_the_student(tmp_path: Path) -> None:
    plain, _ = train_stage(make_stage(tmp_path / "a", 8, 8, 8), Accelerator(cpu=True))
    weighted, _ = train_stage(make_stage(tmp_path / "b", 8, 8, 8, loss_weighting="step"), Accelerator(cpu=True))
    assert not torch.equal(weights(plain), weights(weighted))


class StoppedError(Exception):
    """What ends an interrupted stage."""


def interrupt(stage: Stage, at: int) -> None:
    """Trains a stage until iteration `at`, with its state saved after every iteration before it."""

    def stop(iteration: int, loss: float) -> None:
        if iteration == at:
            raise StoppedError

    saving = dataclasses.replace(stage, distill=stage.distill.model_copy(update={"save_every_seconds": 0}))
    with pytest.raises(StoppedError):
        train_stage(saving, Accelerator(cpu=True), stop)


@pytest.mark.parametrize(
    ("stream", "changes"),
    [
        (0.0, {}),
        (0.5, {}),
        (1.0, {}),
        (0.5, {"lora_rank": 2}),
    ],
)
def test_an_interrupted_stage_ends_with_the_same_bits(
    tmp_path: Path, stream: float, changes: dict[str, object]
) -> None:
    def stage(folder: str) -> Stage:
        states = {"stream": stream, "clips": 1 - stream}
        made = make_stage(tmp_path / folder, 2, 1, 20, states=states, **changes)
        return dataclasses.replace(made, **block_networks(made.distill.lora_rank))

    check_resuming(stage)


def test_an_interrupted_stage_of_several_horizons_ends_with_the_same_bits(tmp_path: Path) -> None:
    published = check_resuming(lambda folder: multi_horizon_stage(tmp_path / folder, 20, 1, 2, 4))
    assert published.steps.vectors.any(1).all()


def check_resuming(stage: Callable[[str], Stage]) -> Any:
    """Law: stopped at iteration 13 and resumed, `stage(folder)` ends with the bits of a run in one go."""
    whole, report = train_stage(stage("a"), Accelerator(cpu=True))

    interrupt(stage("b"), 13)
    resumed, second_report = train_stage(stage("b"), Accelerator(cpu=True))
    assert torch.equal(weights(whole), weights(resumed))
    assert report == second_report
    return whole


def test_the_ledger_is_what_the_networks_counted(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 2, 1, 10)
    _, progress = train_stage(stage, Accelerator(cpu=True))
    counted = {"teacher": stage.teacher.num_forwards, "previous": stage.previous.num_forwards}
    probes = 2 * 12  # before and after
    assert counted["teacher"] == progress.forwards["teacher"] + probes * (2 + 2 * 2)
    assert counted["previous"] == progress.forwards["previous"] + probes * 1
    assert progress.forwards["probe"] == probes * (1 + 2 + 2 * 2 + 1)
    assert progress.forwards["teacher"] == 2 * 60
    assert progress.forwards["student"] == STUDENT_FORWARDS * 60
    assert progress.samples_seen == 60


@pytest.mark.parametrize(
    ("horizon", "tail", "expected"),
    [
        (8, 8, 4 * 15 * 2),  # 4 slots at each of 0, 8 .. 40: 0 .. 5 evaluations, guided
        (8, 4, 4 * 15),  # the previous student walks alone
        (1, 1, 2 * 78),  # at 0, 2 .. 46: one of 0 evaluations, 4 of each of 1 .. 5, 3 of 6
    ],
)
def test_filling_the_pool_costs_what_the_ledger_says(tmp_path: Path, horizon: int, tail: int, expected: int) -> None:
    stage = make_stage(tmp_path, horizon, tail, 1, states={"stream": 1.0, "clips": 0.0})
    assert fill_forwards(stage.distill, stage.params, 48) == expected
    _, progress = train_stage(stage, Accelerator(cpu=True))
    of_targets = 6 * sum(target_forwards(stage.distill, stage.params, stage.previous_horizon).values())
    spent = progress.forwards["previous"] + progress.forwards["teacher"]
    assert spent == of_targets + expected  # these restart at noise, which is no walk


def multi_horizon_stage(work: Path, iterations: int, *horizons: int) -> Stage:
    """The default's tail and weighting, half of every batch noised clips, a student that is told its steps."""
    stage = make_stage(work, 8, 8, iterations, states={"stream": 0.5, "clips": 0.5})
    default = {"teacher_walk": {"solver": "adams", "stride": 4}, "loss_weighting": "step", "horizons": list(horizons)}
    distill = Distill.model_validate(stage.distill.model_dump() | default)
    return dataclasses.replace(stage, distill=distill, student=SteppingNetwork(*horizons))


def test_without_shorter_horizons_a_student_that_could_be_told_is_not(tmp_path: Path) -> None:
    stage = dataclasses.replace(multi_horizon_stage(tmp_path / "a", 8), student=SteppingNetwork(1, 2))
    student, _ = train_stage(stage, Accelerator(cpu=True))
    stage = dataclasses.replace(multi_horizon_stage(tmp_path / "b", 8), student=SmallNetwork())
    plain, _ = train_stage(stage, Accelerator(cpu=True))
    assert torch.equal(weights(student.mixing), weights(plain))
    assert not student.steps.vectors.any()


class Recorder(SteppingNetwork):
    """Keeps what it is asked in training."""

    def __init__(self, *horizons: int) -> None:
        super().__init__(*horizons)
        self.asked: list[tuple[torch.Tensor, ...]] = []

    def forward(self, *asked: torch.Tensor, horizon: torch.Tensor | None = None) -> torch.Tensor:  # type: ignore[override]
        if horizon is not None:
            self.asked.append((*asked, horizon))
        return super().forward(*asked, horizon)


def test_each_sample_is_trained_at_its_own_horizon(tmp_path: Path) -> None:
    """The first batch's loss, by hand: targets, weights and starts of each sample's step."""
    losses: list[float] = []
    stage = multi_horizon_stage(tmp_path, 6, 1, 4)
    stage = dataclasses.replace(stage, student=Recorder(1, 4))
    fresh, grid = SmallNetwork(), stage.grid
    train_stage(stage, Accelerator(cpu=True), lambda _, loss: losses.append(loss))
    told = [set(step.tolist()) for _, _, _, step in stage.student.asked]
    assert told == [{1, 8}, {4, 8}] * 3  # in turn

    latents, timesteps, text, step = stage.student.asked[0]
    index = torch.tensor([grid.timesteps.tolist().index(t) for t in timesteps.tolist()])
    assert not (index % step).any()  # where inference by such steps starts
    terms = []
    for x, i, words, horizon in zip(latents, index, text, step.tolist(), strict=True):
        target = make_target(
            x[None],
            i[None],
            grid,
            Route(horizon, horizon, stride=4, solver="adams"),
            teacher=guided(GaussianField(), words[None], torch.zeros(1, 1, 1), torch.tensor([3.0])),
        )
        lengths = grid.sigmas[:-1:horizon] - grid.sigmas[horizon::horizon]
        weight = (grid.sigmas[i] - grid.sigmas[i + horizon]) / lengths.mean()
        error = fresh(x[None], grid.timesteps[i][None], words[None]) - target.velocity
        terms.append(weight.item() * error.square().mean().item())
    assert losses[0] == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_a_student_of_several_horizons_knows_them_apart(tmp_path: Path) -> None:
    """Told a step of one interval it is nearer to the guided velocity than its longest step is."""
    student, progress = train_stage(multi_horizon_stage(tmp_path, 300, 1), Accelerator(cpu=True))
    assert progress.after.rollout_distance < 0.6 * progress.before.rollout_distance
    assert student.steps.vectors.any()  # the published average has them too
    stage = multi_horizon_stage(tmp_path / "other", 1)
    index = torch.full((16,), 40)  # of the last step, where one interval and eight differ most
    text = torch.ones(16, 1, 1)
    latents = 2.0 + 0.5 * torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(1))
    timesteps = stage.grid.timesteps[index]
    wanted = guided(GaussianField(), text, torch.zeros(1, 1, 1), torch.full((16,), 3.0))(latents, timesteps)
    with torch.no_grad():
        error = {step: (student(latents, timesteps, text, torch.full((16,), step)) - wanted).norm() for step in (1, 8)}
    assert error[1] < error[8]


def test_shorter_horizons_cost_what_the_networks_counted(tmp_path: Path) -> None:
    stage = multi_horizon_stage(tmp_path, 30, 2, 4)
    _, progress = train_stage(stage, Accelerator(cpu=True))
    probes = 2 * 12 * (2 * 2 + 2 * 8)  # before and after: the target and the true roll-out
    assert stage.teacher.num_forwards == progress.forwards["teacher"] + probes


def test_the_frequency_weight_acts_only_in_its_stages(tmp_path: Path) -> None:
    plain, _ = train_stage(make_stage(tmp_path / "a", 2, 1, 8), Accelerator(cpu=True))
    elsewhere = {"weight": 5.0, "stages": ["k8"]}
    same, _ = train_stage(make_stage(tmp_path / "b", 2, 1, 8, frequency=elsewhere), Accelerator(cpu=True))
    here = {"weight": 5.0, "stages": ["k2"]}
    other, report = train_stage(make_stage(tmp_path / "c", 2, 1, 8, frequency=here), Accelerator(cpu=True))
    assert torch.equal(weights(plain), weights(same))
    assert not torch.equal(weights(plain), weights(other))
    assert report.curve[-1]["frequency_loss"] > 0


def test_stored_roll_outs_cost_no_forward(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 8, 4, 4, states={"stream": 0.0, "clips": 0.0, "rollouts": 1.0})
    trajectory = torch.linspace(1, 0, 49).view(49, 1, 1, 1, 1) * torch.ones(49, *SHAPE)
    stage = dataclasses.replace(stage, rollouts=[(trajectory, 0)])
    _, progress = train_stage(stage, Accelerator(cpu=True))
    assert (progress.forwards["teacher"], progress.forwards["previous"]) == (0, 0)
    assert progress.forwards["student"] == STUDENT_FORWARDS * 24


def test_a_loss_that_is_not_a_number_stops_the_stage(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, 1, 1, 4)
    wild = dataclasses.replace(stage, params=stage.params.model_copy(update={"learning_rate": 1e30}))
    with pytest.raises(FloatingPointError, match=r"distill k1: the loss is (inf|nan) at iteration 1"):
        train_stage(wild, Accelerator(cpu=True))
    unmeasurable = dataclasses.replace(stage, student=SmallNetwork(), texts=[torch.tensor([[float("nan")]])] * 4)
    with pytest.raises(FloatingPointError, match="distill k1: probed"):
        train_stage(unmeasurable, Accelerator(cpu=True))


def make_stalling_stage(work: Path) -> Stage:
    """Its rate is too small to learn anything."""
    stage = make_stage(work, 2, 1, 60, stall_window=3)
    return dataclasses.replace(stage, params=stage.params.model_copy(update={"learning_rate": 1e-12}))


def test_seldom_reports_change_nothing_but_when_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where the host waits for each number that it reads."""
    often, seldom = list[int](), list[int]()
    student, ledger = train_stage(make_stage(tmp_path / "a"), Accelerator(cpu=True), lambda n, _: often.append(n))
    stalled = train_stage(make_stalling_stage(tmp_path / "b"), Accelerator(cpu=True))[1]
    monkeypatch.setitem(REPORT_EVERY, "cpu", 7)
    same, same_ledger = train_stage(make_stage(tmp_path / "c"), Accelerator(cpu=True), lambda n, _: seldom.append(n))
    assert (often, seldom) == (list(range(1, 31)), [7, 14, 21, 28, 30])
    assert torch.equal(weights(student), weights(same))
    assert ledger == same_ledger
    assert stalled == train_stage(make_stalling_stage(tmp_path / "d"), Accelerator(cpu=True))[1]
    wild = make_stage(tmp_path / "e", 1, 1, 9)
    wild = dataclasses.replace(wild, params=wild.params.model_copy(update={"learning_rate": 1e30}))
    with pytest.raises(FloatingPointError, match=r"the loss is (inf|nan) at iteration 1 "):
        train_stage(wild, Accelerator(cpu=True))


@pytest.mark.parametrize(("window", "due"), [(0, [4, 8, 12, 14]), (6, [4, 6, 8, 12, 14]), (1, list(range(1, 15)))])
def test_figures_are_read_now_and_then_where_a_stall_is_looked_for_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int, due: list[int]
) -> None:
    monkeypatch.setitem(REPORT_EVERY, "cpu", 4)
    stage = make_stage(tmp_path, iterations=14, stall_window=window)
    assert [done for done in range(1, 15) if is_report_due(stage, done)] == due


@pytest.mark.parametrize("at_once", ["1", "4", "100"])
def test_micro_batches_change_nothing_but_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: str
) -> None:
    states = {"stream": 0.5, "clips": 0.5}
    whole, ledger = train_stage(make_stage(tmp_path / "a", 5, 2, states=states), Accelerator(cpu=True))
    monkeypatch.setenv("GPD_MICRO_BATCH", at_once)
    parts, same_ledger = train_stage(make_stage(tmp_path / "b", 5, 2, states=states), Accelerator(cpu=True))
    assert (weights(whole) - weights(parts)).norm() < 1e-6 * weights(whole).norm()
    assert same_ledger.losses == pytest.approx(ledger.losses, rel=1e-5)
    assert same_ledger.forwards == ledger.forwards


def test_a_stage_ends_when_its_loss_stalls(tmp_path: Path) -> None:
    losses: list[float] = []
    _, progress = train_stage(
        make_stalling_stage(tmp_path), Accelerator(cpu=True), lambda iteration, loss: losses.append(loss)
    )
    assert progress.losses == losses
    assert 6 <= len(losses) < 60
    assert [number for number in range(len(losses) + 1) if has_stalled(losses[:number], 3)] == [len(losses)]
    assert progress.samples_seen == 6 * len(losses)
    assert progress.after  # it is measured all the same


def test_a_resumed_stage_ends_where_the_uninterrupted_one_does(tmp_path: Path) -> None:
    _, whole = train_stage(make_stalling_stage(tmp_path / "a"), Accelerator(cpu=True))
    interrupt(make_stalling_stage(tmp_path / "b"), len(whole.losses) - 1)
    _, resumed = train_stage(make_stalling_stage(tmp_path / "b"), Accelerator(cpu=True))
    assert resumed == whole


@pytest.mark.parametrize("at_once", ["", "4"])
def test_the_curve_holds_what_each_iteration_was_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: str
) -> None:
    """By hand: guidance and rate of iteration i of 6; the loss is the residual and the weighted frequency term."""
    monkeypatch.setenv("GPD_MICRO_BATCH", at_once)
    guidance = {"start": 6.0, "end": 1.5, "axis": "iteration"}
    changes = {"guidance": guidance, "frequency": {"weight": 0.5, "stages": ["k1"]}, "final_rate_share": 0.1}
    _, ledger = train_stage(make_stage(tmp_path, 1, 1, 6, **changes), Accelerator(cpu=True))
    assert [row["iteration"] for row in ledger.curve] == [1, 2, 3, 4, 5, 6]
    assert [row["guidance_scale"] for row in ledger.curve] == pytest.approx([6.0 - 0.75 * i for i in range(6)])
    rises = [0.5, 1, 1, 1, 1, 1]  # two iterations of warm-up
    rates = [1e-2 * rise * (1 - 0.9 * i / 6) for i, rise in enumerate(rises)]
    assert [row["learning_rate"] for row in ledger.curve] == pytest.approx(rates)
    for row in ledger.curve:
        assert row["loss"] == pytest.approx(row["residual"] + 0.5 * row["frequency_loss"])
    assert [row["loss"] for row in ledger.curve] == ledger.losses


def test_a_stage_that_is_told_to_end_saves_and_the_next_one_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, ledger = train_stage(make_stage(tmp_path / "a", 2, 1, 12), Accelerator(cpu=True))
    stop, stage = Stop(), make_stage(tmp_path / "b", 2, 1, 12)
    with pytest.raises(Stopped, match="after iteration 5 of 12; the same command goes on from there") as stopped:
        train_stage(stage, Accelerator(cpu=True), lambda done, _: stop.hear(15) if done == 4 else None, stop)
    assert stopped.value.code == 143
    assert json.loads((tmp_path / "b" / MARKER).read_text())["iteration"] == 5
    resumed, same = train_stage(make_stage(tmp_path / "b", 2, 1, 12), Accelerator(cpu=True))
    assert torch.equal(weights(whole), weights(resumed))
    assert same == ledger


def test_told_at_the_end_of_training_a_stage_publishes_nothing(tmp_path: Path) -> None:
    stop = Stop()
    with pytest.raises(Stopped, match="at the end of training; the same command goes on from the last train state"):
        train_stage(
            make_stage(tmp_path, 1, 1, 3), Accelerator(cpu=True), lambda n, _: stop.hear(2) if n == 3 else None, stop
        )


@pytest.mark.parametrize("patience", [0, 10**9])
def test_states_are_kept_when_they_are_due_and_not_of_a_stage_that_is_done(tmp_path: Path, patience: int) -> None:
    stage = make_stage(tmp_path, 1, 1, 5)
    distill = stage.distill.model_copy(update={"save_every_seconds": patience})

    def wait(iteration: int, loss: float) -> None:
        time.sleep(0.05)  # for what is being written: no other is due meanwhile

    train_stage(dataclasses.replace(stage, distill=distill), Accelerator(cpu=True), wait)
    assert (tmp_path / MARKER).exists() is (patience == 0)
    if not patience:
        assert json.loads((tmp_path / MARKER).read_text())["iteration"] < 5


def test_this_process_alone_computes_in_the_format_that_it_has() -> None:
    """It keeps its threads, and no copies of cast weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    accelerator = make_accelerator("float32")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert (accelerator.num_processes, accelerator.mixed_precision) == (1, "no")
    assert accelerator.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert accelerator.autocast_handler.cache_enabled is False
    assert make_accelerator("bfloat16").mixed_precision == ("bf16" if multiplies_bfloat16("cpu") else "no")


@pytest.mark.parametrize("tail", [2, 5])
def test_walks_to_where_trajectories_begin_anew_are_counted(tmp_path: Path, tail: int) -> None:
    """Of steps of 5 intervals: by the student before, whose jump is one evaluation, or by the guided teacher."""
    stage = make_stage(tmp_path, 5, tail, 30, states={"stream": 1.0, "clips": 0.0})
    _, progress = train_stage(stage, Accelerator(cpu=True))
    probes, targets = 2 * 12, 6 * 30
    assert stage.teacher.num_forwards == progress.forwards["teacher"] + probes * (2 * tail + 2 * 5)
    walked = progress.forwards["teacher"] - targets * 2 * tail
    if stage.previous is not None:
        assert stage.previous.num_forwards == progress.forwards["previous"] + probes
        assert walked == 0
        walked = progress.forwards["previous"] - targets
    assert walked > fill_forwards(stage.distill, stage.params, 48)
