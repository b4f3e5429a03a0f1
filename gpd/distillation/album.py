"""How a student learns, to be looked at: samples of the same prompts and noise, taken now and then while it trains.

Nothing of it is trained on. Its noise has a stream of its own, its forwards are the probe's, and what was taken waits
beside the train states, so that a resumed stage has all of it.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from gpd.core.randomness import Stream, noise_of
from gpd.core.sampler import walk
from gpd.core.velocity import Velocity, unguided
from gpd.data.strips import TEACHER, Strip, in_order
from gpd.distillation.copies import send
from gpd.distillation.costs import strip_sample_forwards
from gpd.distillation.processes.share import pieces
from gpd.distillation.stage import Stage
from gpd.distillation.training import Training
from gpd.models.heads import Fused

FOLDER, KEY = "strip", "latents"  # FOLDER lies beside the train states


def is_due(stage: Stage, iteration: int) -> bool:
    """Whether samples are taken after so many iterations: every so many, from the start on, and at the end."""
    strip = stage.distill.probe.strip
    return strip is not None and (iteration % strip.every == 0 or iteration == stage.params.iterations)


def take(stage: Stage, training: Training) -> None:
    """A sample of each prompt by the student that would be published now; every process calls it."""
    network, horizon = training.published, stage.params.horizon
    if getattr(network, "heads", None) is not None:
        network = Fused(network, stage.grid_on_device, horizon)
    _take(stage, training, str(training.iteration), lambda text: unguided(network, text), horizon)


def finish(stage: Stage, training: Training) -> None:
    """The last student's samples, if they are not there, and the guided teacher's."""
    if stage.distill.probe.strip is None:
        return
    if not is_due(stage, training.iteration):
        take(stage, training)
    _take(stage, training, TEACHER, lambda text: _teacher(stage, text), stride=1)


def _teacher(stage: Stage, text: Tensor) -> Velocity:
    guidance = stage.distill.guidance
    scale = torch.full((len(text),), (guidance.start + guidance.end) / 2, device=stage.device)
    return stage.guided_teacher(text, scale)


@torch.no_grad()
def _take(stage: Stage, training: Training, name: str, field: Callable[[Tensor], Velocity], stride: int) -> None:
    """Walks each process' share of the noise in steps of `stride` intervals; the main one writes all ends."""
    numbers, share, ends = list(stage.strip_prompts.values()), training.share, []
    mine = share.own(range(len(numbers)))
    for some in pieces(len(mine), training.at_once):
        text = stage.text_of(torch.tensor([numbers[n] for n in mine[some]]))
        noise = [noise_of(stage.latent_shape, stage.distill.seed, Stream.STRIP, n) for n in mine[some]]
        latents = send(torch.stack(noise), stage.device)
        start = torch.zeros(len(latents), dtype=torch.int64, device=stage.device)
        ends.append(walk(field(text), latents, start, stage.grid.num_steps, stride, stage.grid_on_device))
    own = torch.cat([torch.zeros(0, *stage.latent_shape, device=stage.device), *ends])
    latents = share.together(own.float(), len(numbers))
    if share.index == 0:
        _folder(stage.work).mkdir(parents=True, exist_ok=True)
        save_file({KEY: latents.cpu().numpy()}, _folder(stage.work) / f"{name}.safetensors")
    sample = strip_sample_forwards(stage.grid.num_steps, None if name == TEACHER else stride)
    training.ledger.spend({"probe": len(numbers) * sample})


def open_album(stage: Stage) -> Strip | None:
    """All that was taken in a finished stage, on the main process; None if nothing was."""
    if stage.distill.probe.strip is None:
        return None
    found = {path.stem: load_file(path)[KEY] for path in _folder(stage.work).glob("*.safetensors")}
    return Strip(in_order(found), list(stage.strip_prompts))


def _folder(work: Path) -> Path:
    return work / FOLDER
