"""All that changes while a stage trains: begun anew, or where a train state was left."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from gpd.core.randomness import Stream, seed_of
from gpd.distillation.average import make_average
from gpd.distillation.batches import make_pool
from gpd.distillation.ledger import Ledger
from gpd.distillation.optimizers import make_optimizer
from gpd.distillation.pool import Pool
from gpd.distillation.share import Share, check_batch, micro_batch, pieces
from gpd.distillation.stage import Stage
from gpd.distillation.states import States
from gpd.distillation.train_state import Saved, TrainState


@dataclass
class Training:
    """The parts that the loop works on.

    Attributes:
        network: the student without what accelerate wraps around it.
        at_once: samples that go through the networks in one call.
        iteration: the next one to do.
        unread: figures of the iterations since the last report, on the device.
    """

    accelerator: Accelerator
    share: Share
    student: nn.Module
    network: nn.Module
    average: AveragedModel | None
    optimizer: Any
    pool: Pool
    ledger: Ledger
    at_once: int
    iteration: int = 0
    unread: list[Tensor] = field(default_factory=list)

    @property
    def published(self) -> nn.Module:
        """The average, or the student itself if none is kept."""
        published: nn.Module = self.network if self.average is None else self.average.module
        return published

    def parts(self, states: States) -> Iterator[tuple[States, float]]:
        """States in parts of `at_once`, each with its share of all; gradients are exchanged with the last part's."""
        places = pieces(len(states.number), self.at_once)
        for place in places:
            part = states.rows(place)
            is_last = place is places[-1]
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(self.student):
                yield part, len(part.number) / len(states.number)

    def read_figures(self, is_due: bool) -> tuple[list[list[float]], bool]:
        """Means over processes of what is unread, a row an iteration, and the main process' word on `is_due`."""
        rows = torch.stack(self.unread)
        self.unread = []
        word = rows.new_tensor([is_due and self.accelerator.is_main_process])
        means = self.accelerator.reduce(torch.cat([rows.flatten(), word]), "mean").cpu()
        return means[:-1].view(rows.shape).tolist(), bool(means[-1] > 0)

    def restore(self, saved: Saved) -> None:
        """Goes on where a train state was left, by however many processes."""
        self.network.load_state_dict(saved.tensors["student"])
        if self.average is not None:
            self.average.load_state_dict(saved.tensors["average"])
        self.optimizer.load_state_dict(saved.optimizer)
        self.pool.load_state_dict(saved.tensors["pool"])
        self.ledger, self.iteration = Ledger.model_validate(saved.facts), saved.iteration

    def save(self, state: TrainState) -> None:
        """Keeps all of it; every process calls it at the same iteration."""
        if self.accelerator.is_main_process:
            groups = {"student": self.network.state_dict(), "pool": self.pool.state_dict()}
            if self.average is not None:
                groups["average"] = self.average.state_dict()
            state.commit(self.iteration, groups, self.optimizer, self.ledger.model_dump())
        self.accelerator.wait_for_everyone()


def begin(stage: Stage, accelerator: Accelerator) -> Training:
    """Student, average, optimiser and an empty pool.

    Raises:
        UserError: the processes do not divide the batch.
    """
    params, distill = stage.params, stage.distill
    share = Share(accelerator.process_index, accelerator.num_processes, stage.device)
    check_batch(stage.name, params.batch, share.number)
    stage.student.requires_grad_()
    average = make_average(stage.student, distill.ema_decay)
    made = make_optimizer(stage.student, learning_rate=params.learning_rate, weight_decay=distill.weight_decay)
    student, optimizer = accelerator.prepare(stage.student, made)
    return Training(
        accelerator=accelerator,
        share=share,
        student=student,
        network=accelerator.unwrap_model(student),
        average=average,
        optimizer=optimizer,
        pool=make_pool(stage, distill.pool_slots, seed_of(stage.seed, Stream.POOL), share),
        ledger=Ledger(),
        at_once=micro_batch(params.batch // share.number),
    )
