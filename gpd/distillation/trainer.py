"""One distillation stage: the training loop, read from top to bottom."""

import math
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from gpd.core.precision import fast_dtype
from gpd.distillation.batches import draw_states, make_batch
from gpd.distillation.costs import batch_forwards
from gpd.distillation.ledger import Ledger
from gpd.distillation.losses import make_loss
from gpd.distillation.objectives import Objective, get_objective
from gpd.distillation.probe import probe
from gpd.distillation.schedules import has_stalled, learning_rate, set_learning_rate
from gpd.distillation.stage import Stage
from gpd.distillation.train_state import TrainState
from gpd.distillation.training import Training, begin
from gpd.distillation.walks import walk_forwards
from gpd.models import adapters as lora


def make_accelerator(dtype: str) -> Accelerator:
    """This process, or those that torchrun started; on the CPU if there is no CUDA device.

    Unless `cpu` is set, accelerate takes two CPU processes for two runs of one process each. The student
    multiplies in `dtype`, unless the device would emulate it.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = "bf16" if fast_dtype(dtype, device) == "bfloat16" else "no"
    return Accelerator(cpu=device == "cpu", mixed_precision=precision)


def train_stage(
    stage: Stage, accelerator: Accelerator, on_iteration: Callable[[int, float], None] = lambda *_: None
) -> tuple[nn.Module, Ledger]:
    """Trains the stage's student and returns the network to publish (the average, if one is kept) and the ledger.

    Goes on from the train state in `stage.work`, if there is one; randomness depends on (seed, iteration, process)
    alone, so that an interrupted run and an uninterrupted one end with the same bits.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    with TrainState(stage.work, save_every_seconds=stage.distill.save_every_seconds) as state:
        return train(stage, accelerator, state, on_iteration)


def train(
    stage: Stage, accelerator: Accelerator, state: TrainState, on_iteration: Callable[[int, float], None]
) -> tuple[nn.Module, Ledger]:
    """`train_stage` with its train state at hand."""
    params, distill, objective = stage.params, stage.distill, get_objective(stage.distill.objective)
    loss_of, training = make_loss(stage), begin(stage, accelerator)
    resume_or_measure(stage, objective, training, state)

    for iteration in range(training.iteration, params.iterations):
        # States, and where the previous student and the guided teacher bring them
        first = (iteration * accelerator.num_processes + accelerator.process_index) * params.batch
        states = draw_states(stage, objective, training.pool, iteration, first)
        batch = make_batch(stage, objective, states, first, iteration / params.iterations)
        target = objective.target(stage, batch, training.average)
        latents, index = objective.point(stage, batch, target)

        # The student learns the mean velocity of that step
        rate = learning_rate(iteration, params, distill)
        set_learning_rate(training.optimizer, rate)
        with accelerator.autocast():
            velocity = stage.velocity(training.student, latents, index, batch)
        loss = loss_of(velocity, target.velocity, batch.weight)
        accelerator.backward(loss.total)
        accelerator.clip_grad_norm_(training.student.parameters(), distill.max_gradient_norm)
        training.optimizer.step()
        training.optimizer.zero_grad(set_to_none=True)
        if training.average is not None:
            training.average.update_parameters(training.network)

        # Streamed states go one horizon on, along the target and not along the student
        began = training.pool.advance(states, target.end.cpu())

        # What was done and spent
        ledger, training.iteration = training.ledger, iteration + 1
        ledger.spend(batch_forwards(stage, states))
        ledger.spend(walk_forwards(began, stage.previous is not None))
        ledger.samples_seen += params.batch * accelerator.num_processes
        own_loss = _finite(loss.total, stage, f"iteration {iteration} (learning rate {rate:g})")
        scale = batch.guidance_scale.mean().item()
        ledger.note(iteration + 1, params.iterations, **loss.figures(), learning_rate=rate, guidance_scale=scale)
        on_iteration(iteration + 1, own_loss)
        mean_loss, is_due = _agreed(accelerator, loss.total, state.is_due)
        ledger.losses.append(mean_loss)
        if has_stalled(ledger.losses, distill.stall_window):
            break
        if is_due and iteration + 1 < params.iterations:
            training.save(state)

    return finish(stage, objective, training, accelerator)


def resume_or_measure(stage: Stage, objective: Objective, training: Training, state: TrainState) -> None:
    """Goes on from a train state; or measures the student of the start and fills the pool."""
    saved = state.load()
    if saved is not None:
        training.restore(saved)
        return
    training.ledger.before, spent = probe(stage, objective, training.network, training.average)
    training.ledger.spend(spent)
    if stage.distill.states.stream > 0:
        began = training.pool.fill(stage.params.batch)
        training.ledger.spend(walk_forwards(began, stage.previous is not None))


def finish(
    stage: Stage, objective: Objective, training: Training, accelerator: Accelerator
) -> tuple[nn.Module, Ledger]:
    """The network to publish, measured on the states of the starting point, and the ledger of all processes."""
    published, ledger = training.published, training.ledger
    lora.merge(published)
    ledger.after, spent = probe(stage, objective, published, training.average)
    ledger.spend(spent)
    totals = accelerator.reduce(torch.tensor(list(ledger.forwards.values()), device=stage.device), "sum")
    ledger.forwards = dict(zip(ledger.forwards, totals.tolist(), strict=True))
    return training.whole(), ledger


def _finite(loss: Tensor, stage: Stage, where: str) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"distill {stage.name}: the loss is {value} at {where}")
    return value


def _agreed(accelerator: Accelerator, loss: Tensor, is_due: bool) -> tuple[float, bool]:
    """The mean loss over processes, so that all stop together, and whether to save now by the main process' clock."""
    both = torch.stack([loss.detach(), loss.new_tensor(is_due and accelerator.is_main_process)])
    mean, due = accelerator.reduce(both, "mean").tolist()
    return mean, due > 0
