"""One distillation stage: the training loop, read from top to bottom."""

from collections.abc import Callable
from datetime import timedelta

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import AutocastKwargs
from torch import nn

from gpd.core.precision import fast_dtype, multiply_on_tensor_cores
from gpd.distillation import album
from gpd.distillation.batches import draw_states, make_batch, targets_to_make
from gpd.distillation.costs import batch_forwards
from gpd.distillation.divergence import check_iteration, check_outcome
from gpd.distillation.ledger import Ledger
from gpd.distillation.losses import make_loss
from gpd.distillation.objectives import Objective, objective_of
from gpd.distillation.probe import probe
from gpd.distillation.processes.sharding import plain
from gpd.distillation.processes.stopping import Stop
from gpd.distillation.saving.train_state import TrainState
from gpd.distillation.schedules import has_stalled, learning_rate, set_learning_rate
from gpd.distillation.stage import Stage
from gpd.distillation.states.walks import walk_forwards
from gpd.distillation.training import Training, begin

PATIENCE = timedelta(hours=2)  # of processes with the main one, which writes train states and the student
REPORT_EVERY = {"cpu": 1, "cuda": 10}  # iterations: to read a number, the host waits until the device has it


def make_accelerator(dtype: str) -> Accelerator:
    """This process, or those that torchrun started; on the CPU if there is no CUDA device.

    Unless `cpu` is set, accelerate takes two CPU processes for two runs of one process each. The student
    multiplies in `dtype`, unless the device would emulate it.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    multiply_on_tensor_cores(dtype)
    precision = "bf16" if fast_dtype(dtype, device) == "bfloat16" else "no"
    # Each weight is used once in a forward, so nothing is gained by keeping its cast copy; and of networks that are cut
    # over processes the copies would stay whole.
    handlers = [InitProcessGroupKwargs(timeout=PATIENCE), AutocastKwargs(cache_enabled=False)]
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision, kwargs_handlers=handlers)
    if device == "cpu" and accelerator.num_processes > 1:
        torch.set_num_threads(1)  # a small network gains from a second process, not from a second thread
    return accelerator


def train_stage(
    stage: Stage,
    accelerator: Accelerator,
    on_report: Callable[[int, float], None] = lambda *_: None,
    stop: Stop | None = None,
) -> tuple[nn.Module, Ledger]:
    """Trains the stage's student and returns the network to publish (the average, if one is kept) and the ledger.

    Goes on from the train state in `stage.work`, if there is one. What is drawn depends on the seed and the sample's
    number alone: neither a stop nor the number of processes changes the result beyond rounding, and a stop not even
    that.

    Args:
        on_report: called with the number of iterations done and the last one's loss.
        stop: asked after every iteration.

    Raises:
        DivergedError: the loss or a gradient is not finite, or the student is worse than none.
        StoppedError: the run was told to end; what was trained is saved.
        UserError: the processes do not divide the batch.
    """
    with TrainState(stage.work, save_every_seconds=stage.distill.save_every_seconds) as state:
        return train(stage, accelerator, state, on_report, stop or Stop())


def train(
    stage: Stage, accelerator: Accelerator, state: TrainState, on_report: Callable[[int, float], None], stop: Stop
) -> tuple[nn.Module, Ledger]:
    """`train_stage` with its train state at hand."""
    params, distill, objective = stage.params, stage.distill, objective_of(stage.distill, stage.params)
    loss_of, training = make_loss(stage), begin(stage, accelerator)
    resume_or_measure(stage, objective, training, state)

    for iteration in stop.put_off(range(training.iteration, params.iterations)):
        set_learning_rate(training.optimizer, learning_rate(iteration, params, distill))
        own_states = draw_states(stage, objective, training.pool, training.share, iteration)
        ends, figures = [], []
        for states, share in training.parts(own_states):
            # What the student predicts of the states, and what the objective has it learn there
            batch = make_batch(stage, objective, states, iteration / params.iterations)
            lesson = objective.lesson(stage, batch, training.predict, training.average)
            loss = loss_of(lesson.velocity, lesson.target, lesson.weight).times(share)
            accelerator.backward(loss.total)
            ends.append(lesson.end)
            figures.append(torch.stack([*loss, share * batch.guidance_scale.mean()]).detach())
        norm = accelerator.clip_grad_norm_(training.student.parameters(), distill.max_gradient_norm)
        training.optimizer.step()
        training.optimizer.zero_grad(set_to_none=True)
        if training.average is not None:
            training.average.update_parameters(training.network)

        # Streamed states go one horizon on, where the objective says
        began = training.pool.advance(own_states, torch.cat(ends))

        # What was done and spent, by all processes
        ledger, training.iteration = training.ledger, iteration + 1
        ledger.spend(batch_forwards(stage, targets_to_make(stage, iteration), iteration / params.iterations))
        ledger.spend(walk_forwards(began, stage.previous is not None))
        ledger.samples_seen += params.batch
        if album.is_due(stage, training.iteration):
            album.take(stage, training)
        training.unread.append(torch.cat([torch.stack(figures).sum(0), plain(norm)[None]]))
        is_stopping = stop.is_agreed()
        if not (is_stopping or is_report_due(stage, training.iteration)):
            continue
        is_save_due = report(stage, training, state.is_due)
        on_report(training.iteration, ledger.losses[-1])
        if has_stalled(ledger.losses, distill.stall_window):
            break
        if is_stopping or (is_save_due and training.iteration < params.iterations):
            training.save(state)
        if is_stopping:
            state.wait()
            stop.end(
                f"after iteration {training.iteration} of {params.iterations}; the same command goes on from there"
            )

    stop.check("at the end of training; the same command goes on from the last train state")
    return finish(stage, objective, training)


def resume_or_measure(stage: Stage, objective: Objective, training: Training, state: TrainState) -> None:
    """Goes on from a train state; or measures the student of the start, fills the pool and takes the first samples."""
    saved = state.load()
    if saved is not None:
        training.restore(saved)
        return
    measure = probe(stage, objective, training.network, training.average, training.share, training.at_once)
    training.ledger.before, spent = measure
    training.ledger.spend(spent)
    if stage.distill.states.stream > 0:
        began = training.pool.fill(training.at_once)
        training.ledger.spend(walk_forwards(began, stage.previous is not None))
    if album.is_due(stage, 0):
        album.take(stage, training)


def is_report_due(stage: Stage, done: int) -> bool:
    """Whether figures are read after so many iterations: now and then, where a stall is looked for, and at the end."""
    every, window = REPORT_EVERY[stage.device.type], stage.distill.stall_window
    return done % every == 0 or (window > 0 and done % window == 0) or done == stage.params.iterations


def report(stage: Stage, training: Training, is_save_due: bool) -> bool:
    """Enters the iterations since the last report into the ledger, and returns whether all save now.

    Raises:
        DivergedError: a loss or a gradient is not finite.
    """
    first = training.iteration - len(training.unread)
    rows, is_save_due = training.read_figures(is_save_due)
    for iteration, (loss, residual, frequency, scale, norm) in enumerate(rows, first):
        rate = learning_rate(iteration, stage.params, stage.distill)
        check_iteration(stage, iteration, loss, norm)
        training.ledger.losses.append(loss)
        figures = {"loss": loss, "residual": residual, "frequency_loss": frequency}
        training.ledger.note(
            iteration + 1, stage.params.iterations, **figures, learning_rate=rate, guidance_scale=scale
        )
    return is_save_due


def finish(stage: Stage, objective: Objective, training: Training) -> tuple[nn.Module, Ledger]:
    """The network to publish, measured on the states of the starting point, and the ledger.

    Raises:
        DivergedError: the network is worse than none.
    """
    published, ledger = training.published, training.ledger
    ledger.after, spent = probe(stage, objective, published, training.average, training.share, training.at_once)
    ledger.spend(spent)
    check_outcome(stage, ledger)
    album.finish(stage, training)
    return training.whole(), ledger
