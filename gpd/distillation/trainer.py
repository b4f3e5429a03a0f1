"""One distillation stage: the training loop, read from top to bottom."""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from gpd.core.sampler import walk
from gpd.core.schedule import Grid
from gpd.core.velocity import Network, guided, mean_velocity, stack_text, unguided
from gpd.distillation.costs import FILL_STRIDE, STUDENT_FORWARDS, at_horizon, target_forwards
from gpd.distillation.losses import high_frequency_mask, masked_square_residual, square_residual, step_weights
from gpd.distillation.optimizers import make_optimizers
from gpd.distillation.stream import Pool, States, clip_states, join_states, rollout_states, split_batch, start_indices
from gpd.distillation.targets import Target, chord_states, consistency_target, make_target
from gpd.distillation.train_state import TrainState
from gpd.models import adapters as lora
from gpd.params import Distill, Guidance, StageParams

NUM_CURVE_POINTS = 100  # rows of a stage's training curve
CHORD_SEED = 3  # stream of randomness under the stage's seed, beside those of gpd.distillation.stream

Sample = tuple[Tensor, int]  # a clip's latents or a stored trajectory, and the number of its text


@dataclass(frozen=True)
class Stage:
    """Everything a stage trains with. Networks are on the accelerator's device; data stays on the CPU."""

    name: str
    params: StageParams
    distill: Distill
    grid: Grid
    latent_shape: tuple[int, ...]
    student: nn.Module
    teacher: nn.Module
    previous: nn.Module | None
    previous_horizon: int
    texts: list[Tensor]  # [L_i, D] each; the first `num_prompts` are those that trajectories stream from
    num_prompts: int
    negative: Tensor  # [L, D]
    clips: Sequence[Sample]
    rollouts: Sequence[Sample]
    work: Path  # train states

    @property
    def last_horizon(self) -> int:
        """Grid intervals of one step of the final student."""
        return self.grid.num_steps // self.distill.final_steps

    @property
    def is_last(self) -> bool:
        """Whether this stage makes the final student."""
        return self.params.horizon == self.last_horizon

    @property
    def starts(self) -> Tensor:
        """Grid indices where a training step may start."""
        if self.distill.objective == "consistency":  # from everywhere to the end
            return start_indices(self.grid.num_steps, self.params.tail, is_last=False)[:: self.params.tail]
        return start_indices(self.grid.num_steps, self.params.horizon, self.is_last)

    def starts_of(self, horizon: int) -> Tensor:
        """Where a step of `horizon` may start: the stage's own starts, or where inference by a shorter step does."""
        is_own = horizon == self.params.horizon
        return self.starts if is_own else start_indices(self.grid.num_steps, horizon, is_last=True)

    def clip_horizon(self, iteration: int) -> int:
        """Grid intervals that noised clips are trained at: the shorter horizons in turn, where there are any."""
        horizons = self.distill.horizons or [self.params.horizon]
        return horizons[iteration % len(horizons)]

    @property
    def forwards_per_target(self) -> dict[str, int]:
        """Network evaluations of one online target by role."""
        return target_forwards(self.distill, self.params, self.previous_horizon)

    @property
    def share_of_curriculum(self) -> float:
        """0 at horizon 1, 1 at the last: known without the other stages, so that editing one leaves the rest valid."""
        return (self.params.horizon - 1) / max(1, self.last_horizon - 1)


@dataclass
class Progress:
    """What a stage reports; all of it goes through the train state and survives an interruption."""

    forwards: dict[str, int] = field(default_factory=lambda: {"teacher": 0, "previous": 0, "student": 0, "probe": 0})
    samples_seen: int = 0
    losses: list[float] = field(default_factory=list)  # of every iteration done, the mean over processes
    curve: list[dict[str, float]] = field(default_factory=list)
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)


def guidance_scale(guidance: Guidance, sigma: Tensor, share_of_stages: float, share_of_iterations: float) -> Tensor:
    """The teacher's guidance scale, linear from start to end along one axis; [B] like `sigma`.

    Along sigma, start belongs to pure noise and end to the clean end.
    """
    share = {
        "stage": torch.full_like(sigma, share_of_stages),
        "iteration": torch.full_like(sigma, share_of_iterations),
        "sigma": 1 - sigma,
    }[guidance.axis]
    return (guidance.start + (guidance.end - guidance.start) * share).float()


def learning_rate(iteration: int, params: StageParams, distill: Distill) -> float:
    """Linear warm-up, then a linear fall to `final_rate_share` of the stage's rate."""
    rise = min(1.0, (iteration + 1) / max(1, min(distill.warmup_iterations, params.iterations)))
    fall = 1 - (1 - distill.final_rate_share) * iteration / params.iterations
    return params.learning_rate * rise * fall


def has_stalled(losses: Sequence[float], window: int) -> bool:
    """Whether the last `window` losses are not below the `window` before them, in the mean; never where it is 0.

    Asked once a window, not in every iteration: windows that overlap would look for a bad draw of the noise again and
    again until one is found.
    """
    if window == 0 or len(losses) < 2 * window or len(losses) % window:
        return False
    return math.fsum(losses[-window:]) >= math.fsum(losses[-2 * window : -window])


def make_accelerator(dtype: str) -> Accelerator:
    """This process, or those that torchrun started; on the CPU where there is no CUDA device.

    Without `cpu` being said, accelerate takes two CPU processes for two runs of one process each.
    """
    precision = "bf16" if dtype == "bfloat16" else "no"
    return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=precision)


def train_stage(
    stage: Stage, accelerator: Accelerator, on_iteration: Callable[[int, float], None] = lambda *_: None
) -> tuple[nn.Module, Progress]:
    """Trains the stage's student and returns the network to publish (the average, where one is kept) and its report.

    Resumes from `stage.work` where a train state lies there; randomness depends on (seed, iteration, process) alone,
    so that an interrupted run and an uninterrupted one end with the same bits.
    """
    # ---- what stays the same in every iteration
    params, distill, grid = stage.params, stage.distill, stage.grid
    device, rank, num_processes = accelerator.device, accelerator.process_index, accelerator.num_processes
    seed = distill.seed + 1_000_003 * params.horizon  # stages draw different noise
    shares = [distill.states.stream, distill.states.clips, distill.states.rollouts]
    mask = high_frequency_mask(
        (stage.latent_shape[1], stage.latent_shape[2], stage.latent_shape[3]),
        distill.frequency.temporal_cutoff,
        distill.frequency.spatial_cutoff,
    )
    frequency_weight = distill.frequency.weight if stage.name in distill.frequency.stages else 0.0

    # ---- networks, optimiser, pool
    average = copy.deepcopy(stage.student) if distill.ema_decay > 0 else None
    lora.make_trainable(stage.student, distill.lora_rank, seed)
    if average is not None:
        lora.make_trainable(average, distill.lora_rank, seed)
        average.requires_grad_(False)
    optimizers: Any = make_optimizers(
        stage.student, distill.optimizer, learning_rate=params.learning_rate, weight_decay=distill.weight_decay
    )
    student, *optimizers = accelerator.prepare(stage.student, *optimizers)
    progress = Progress()
    pool = Pool(
        num_slots=distill.pool_slots,
        latent_shape=stage.latent_shape,
        num_prompts=stage.num_prompts,
        num_steps=grid.num_steps,
        horizon=params.horizon,
        is_last=stage.is_last,
        seed=seed,
        rank=rank,
        walk=lambda noise, prompts, ends: _walk_from_noise(stage, progress, noise, prompts, ends, device),
    )

    # ---- resume, or measure the starting point and fill the pool
    state = TrainState(stage.work, save_every_seconds=distill.save_every_seconds, rank=rank)
    saved = state.load()
    first_iteration = 0
    if saved is not None:
        first_iteration = saved.iteration
        accelerator.unwrap_model(student).load_state_dict(saved.tensors["student"])
        if average is not None:
            average.load_state_dict(saved.tensors["average"])
        for optimizer, moments in zip(optimizers, saved.optimizers, strict=True):
            optimizer.load_state_dict(moments)
        progress.__dict__.update(saved.facts)
        if saved.tensors["own"]:
            pool.load_state_dict(saved.tensors["own"])
    else:
        progress.before = probe(stage, accelerator.unwrap_model(student), average, progress, device)
        if distill.states.stream > 0:
            pool.fill(params.batch)

    # ---- the loop
    for iteration in range(first_iteration, params.iterations):
        counter = (iteration * num_processes + rank) * params.batch

        # States: streamed, noised clips, stored roll-outs
        num_streamed, num_clips, num_rollouts = split_batch(params.batch, shares, counter)
        starts, clip_starts = stage.starts, stage.starts_of(stage.clip_horizon(iteration))
        parts = [
            pool.take(num_streamed) if num_streamed else None,
            clip_states(stage.clips, clip_starts, grid, batch=num_clips, counter=counter, seed=seed)
            if num_clips
            else None,
            rollout_states(stage.rollouts, starts, params.horizon, batch=num_rollouts, counter=counter, seed=seed)
            if num_rollouts
            else None,
        ]
        states = join_states([part for part in parts if part is not None])
        horizons = _horizons(stage, states, stage.clip_horizon(iteration))
        latents, index = states.latents.to(device), states.grid_index.to(device)
        sigma = grid.sigmas.to(device)[index]
        text = stack_text([stage.texts[prompt] for prompt in states.prompt.tolist()]).to(device)

        # Target: the previous student's jump, the guided teacher's tail
        scale = guidance_scale(distill.guidance, sigma, stage.share_of_curriculum, iteration / params.iterations)
        target = _target(stage, states, horizons, latents, index, text, scale, average)
        _count_targets(stage, progress, horizons[~states.is_known])
        weights: Tensor | float = 1.0
        if distill.loss_weighting == "step":
            weights = _step_weights(stage, states.grid_index, horizons).to(device)
        if distill.objective == "piecewise_flow":
            latents, index = chord_states(latents, index, target, _offsets(stage, counter, seed).to(device), grid)

        # Student
        rate = learning_rate(iteration, params, distill)
        for group in itertools.chain.from_iterable(optimizer.param_groups for optimizer in optimizers):
            group["lr"] = rate
        with accelerator.autocast():
            told = [horizons.to(device)] if distill.horizons else []
            velocity = student(latents, grid.timesteps.to(device)[index], text, *told)
        residual = (weights * square_residual(velocity, target.velocity)).mean()
        frequency = torch.zeros((), device=device)
        if frequency_weight > 0:
            frequency = (weights * masked_square_residual(velocity, target.velocity, mask)).mean()
        accelerator.backward(residual + frequency_weight * frequency)
        accelerator.clip_grad_norm_(student.parameters(), distill.max_gradient_norm)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if average is not None:
            _update_average(average, accelerator.unwrap_model(student), distill.ema_decay, iteration)
        progress.forwards["student"] += STUDENT_FORWARDS * params.batch
        progress.samples_seen += params.batch * num_processes

        # Streamed states go one horizon on, along the target and not along the student
        pool.advance(states, target.end.cpu())

        # Report and save
        total = (residual + frequency_weight * frequency).detach()
        loss = total.item()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"distill {stage.name}: the loss is {loss} at iteration {iteration} (learning rate {rate:g})"
            )
        if (iteration + 1) % max(1, params.iterations // NUM_CURVE_POINTS) == 0 or iteration == 0:
            row = {"loss": loss, "residual": residual.item(), "frequency_loss": frequency.item()}
            row |= {"learning_rate": rate, "guidance_scale": scale.mean().item()}
            progress.curve.append({"iteration": iteration + 1, **row})
        on_iteration(iteration + 1, loss)
        progress.losses.append(accelerator.reduce(total, "mean").item())  # so that all processes stop together
        if has_stalled(progress.losses, distill.stall_window):
            break
        if state.is_due and iteration + 1 < params.iterations:
            _save(state, iteration + 1, accelerator, student, average, optimizers, pool, progress)

    # ---- the end point, measured on the states of the starting point
    published = average if average is not None else accelerator.unwrap_model(student)
    lora.merge(published)
    progress.after = probe(stage, published, average, progress, device)
    spent = accelerator.reduce(torch.tensor(list(progress.forwards.values()), device=device), "sum")
    progress.forwards = dict(zip(progress.forwards, spent.tolist(), strict=True))
    return published, progress


def _horizons(stage: Stage, states: States, of_clips: int) -> Tensor:
    """Grid intervals of each sample's step, [B] int64: `of_clips` for noised clips, the stage's for all others."""
    is_clip = (states.slot < 0) & ~states.is_known
    return torch.where(is_clip, of_clips, stage.params.horizon)


def _count_targets(stage: Stage, progress: Progress, horizons: Tensor) -> None:
    """Adds what the online targets of steps of these lengths cost; [B]."""
    for horizon in horizons.tolist():
        step = at_horizon(stage.params, horizon)
        for role, number in target_forwards(stage.distill, step, stage.previous_horizon).items():
            progress.forwards[role] += number


def _step_weights(stage: Stage, index: Tensor, horizons: Tensor) -> Tensor:
    """`step_weights` among steps of the same length, so that each length's weights have mean 1; [B]."""
    weights = torch.empty(len(index))
    for horizon in horizons.unique().tolist():
        rows = horizons == horizon
        weights[rows] = step_weights(stage.grid.sigmas, index[rows], horizon, stage.starts_of(horizon)).float()
    return weights


def _target(
    stage: Stage,
    states: States,
    horizons: Tensor,
    latents: Tensor,
    index: Tensor,
    text: Tensor,
    scale: Tensor,
    average: nn.Module | None,
) -> Target:
    """The online target of each sample's own horizon, or the stored one where a roll-out knows it."""
    if stage.distill.objective == "consistency":
        assert average is not None, "params.yaml is checked for this"
        teacher = guided(stage.teacher, text, _negative(stage, text), scale)
        own = unguided(average, text)
        return consistency_target(latents, index, stage.grid, skip=stage.params.tail, teacher=teacher, average=own)
    horizons = horizons.to(latents.device)
    sigmas = stage.grid.sigmas.to(latents.device)
    end = states.end.to(latents.device)
    unknown = ~states.is_known.to(latents.device)
    for horizon in horizons[unknown].unique().tolist():
        made, step = unknown & (horizons == horizon), at_horizon(stage.params, horizon)
        rows = text[made]
        end[made] = make_target(
            latents[made],
            index[made],
            stage.grid,
            horizon=step.horizon,
            tail=step.tail,
            teacher=guided(stage.teacher, rows, _negative(stage, rows), scale[made]),
            previous=None if stage.previous is None else unguided(stage.previous, rows),
            previous_horizon=stage.previous_horizon,
            tail_stride=stage.distill.tail.stride,
            tail_solver=stage.distill.tail.solver,
        ).end
    return Target(end, mean_velocity(latents, end, sigmas[index], sigmas[index + horizons]))


def _offsets(stage: Stage, counter: int, seed: int) -> Tensor:
    """Where on its chord each sample of the batch that begins at sample `counter` is trained."""
    rng = np.random.default_rng([seed, CHORD_SEED, counter])
    return torch.from_numpy(rng.integers(0, stage.params.horizon, stage.params.batch))


def _negative(stage: Stage, like: Tensor) -> Tensor:
    return stage.negative[None].to(like.device)


def _mean_guidance(distill: Distill) -> float:
    return (distill.guidance.start + distill.guidance.end) / 2


@torch.no_grad()
def _walk_from_noise(
    stage: Stage, progress: Progress, noise: Tensor, prompts: Tensor, ends: Tensor, device: torch.device
) -> Tensor:
    """Coarse walk of each sample to its grid index, for the pool: the guided teacher before there is a student."""
    latents = noise.clone()
    for end in ends.unique().tolist():
        if end == 0:
            continue
        chosen = (ends == end).nonzero()[:, 0]
        text = stack_text([stage.texts[prompt] for prompt in prompts[chosen].tolist()]).to(device)
        scale = torch.full((len(chosen),), _mean_guidance(stage.distill), device=device)
        network: Network = stage.teacher if stage.previous is None else stage.previous
        is_student = stage.previous is not None
        velocity = unguided(network, text) if is_student else guided(network, text, _negative(stage, text), scale)
        start = torch.zeros(len(chosen), dtype=torch.int64, device=device)
        latents[chosen] = walk(velocity, noise[chosen].to(device), start, end, FILL_STRIDE, stage.grid).cpu()
        num_forwards = -(-end // FILL_STRIDE) * len(chosen)
        progress.forwards["previous" if is_student else "teacher"] += num_forwards * (1 if is_student else 2)
    return latents


@torch.no_grad()
def probe(
    stage: Stage, network: nn.Module, average: nn.Module | None, progress: Progress, device: torch.device
) -> dict[str, float]:
    """Measures a network on fixed states spread over the grid.

    Returns:
        residual: mean |v - v*|^2 against the online target.
        rollout_distance: mean over states of |v - v_true| / |v_true|, where v_true is the mean velocity of the true
            roll-out: the guided teacher walked `horizon` intervals one by one.
    """
    params, grid = stage.params, stage.grid
    starts = start_indices(grid.num_steps, params.horizon, stage.is_last)
    residuals, distances = [], []
    for first in range(0, stage.distill.probe.num_states, params.batch):
        number = min(params.batch, stage.distill.probe.num_states - first)
        states = _probe_states(stage, progress, starts, first, number, device)
        latents, index = states.latents.to(device), states.grid_index.to(device)
        text = stack_text([stage.texts[prompt] for prompt in states.prompt.tolist()]).to(device)
        scale = guidance_scale(stage.distill.guidance, grid.sigmas.to(device)[index], stage.share_of_curriculum, 1.0)
        horizons = torch.full_like(states.grid_index, params.horizon)
        target = _target(stage, states, horizons, latents, index, text, scale, average)
        truth = make_target(
            latents,
            index,
            grid,
            horizon=params.horizon,
            tail=params.horizon,
            teacher=guided(stage.teacher, text, _negative(stage, text), scale),
            previous=None,
            previous_horizon=0,
        ).velocity
        velocity = network(latents, grid.timesteps.to(device)[index], text)
        residuals.append(square_residual(velocity, target.velocity))
        distances.append((velocity - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1))
        cost = sum(stage.forwards_per_target.values()) + 2 * params.horizon + 1
        progress.forwards["probe"] += number * cost
    return {
        "residual": torch.cat(residuals).mean().item(),
        "rollout_distance": torch.cat(distances).mean().item(),
    }


def _probe_states(
    stage: Stage, progress: Progress, starts: Tensor, first: int, number: int, device: torch.device
) -> States:
    """Noised clip latents where there are clips, else coarse walks; the same at every call of a stage."""
    total = stage.distill.probe.num_states
    places = starts[torch.arange(first, first + number) * len(starts) // total]
    if stage.clips:
        parts = [
            clip_states(
                stage.clips, place[None], stage.grid, batch=1, counter=2**30 + first + n, seed=stage.distill.seed
            )
            for n, place in enumerate(places)
        ]
        return join_states(parts)
    pool = Pool(
        num_slots=number,
        latent_shape=stage.latent_shape,
        num_prompts=stage.num_prompts,
        num_steps=stage.grid.num_steps,
        horizon=stage.params.horizon,
        is_last=stage.is_last,
        seed=stage.distill.seed + 7,
        rank=first,
        walk=lambda noise, prompts, ends: _walk_from_noise(stage, progress, noise, prompts, ends, device),
    )
    pool.start(torch.arange(number), places)
    return pool.take(number)


@torch.no_grad()
def _update_average(average: nn.Module, student: nn.Module, decay: float, iteration: int) -> None:
    """average <- decay * average + (1 - decay) * student; the decay rises at first, so that the start is forgotten.

    Of low-rank factors the factors are averaged, not their product: the average then has their rank too.
    """
    current = min(decay, (iteration + 1) / (iteration + 10))
    torch._foreach_lerp_(list(average.parameters()), list(student.parameters()), 1 - current)


def _save(
    state: TrainState,
    iteration: int,
    accelerator: Accelerator,
    student: nn.Module,
    average: nn.Module | None,
    optimizers: Any,
    pool: Pool,
    progress: Progress,
) -> None:
    state.save_own(iteration, pool.state_dict())
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        groups = {"student": accelerator.unwrap_model(student).state_dict()}
        if average is not None:
            groups["average"] = average.state_dict()
        state.commit(iteration, groups, optimizers, progress.__dict__)
    accelerator.wait_for_everyone()
