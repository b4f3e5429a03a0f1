"""All that changes while a stage trains: begun anew, or where a train state was left."""

from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gpd.core.randomness import Stream, seed_of
from gpd.distillation.average import make_average
from gpd.distillation.batches import make_pool
from gpd.distillation.ledger import Ledger
from gpd.distillation.optimizers import make_optimizer
from gpd.distillation.pool import Pool
from gpd.distillation.stage import Stage
from gpd.distillation.train_state import Saved, TrainState


@dataclass
class Training:
    """The parts that the loop works on; `network` is the student without what accelerate wraps around it."""

    student: nn.Module
    network: nn.Module
    average: AveragedModel | None
    optimizer: Any
    pool: Pool
    ledger: Ledger
    iteration: int = 0  # the next one to do

    @property
    def published(self) -> nn.Module:
        """The average, or the student itself if none is kept."""
        published: nn.Module = self.network if self.average is None else self.average.module
        return published

    def restore(self, saved: Saved) -> None:
        """Goes on where a train state was left."""
        self.network.load_state_dict(saved.tensors["student"])
        if self.average is not None:
            self.average.load_state_dict(saved.tensors["average"])
        self.optimizer.load_state_dict(saved.optimizer)
        self.pool.load_state_dict(saved.tensors["own"])
        self.ledger, self.iteration = Ledger.model_validate(saved.facts), saved.iteration

    def save(self, state: TrainState, accelerator: Accelerator) -> None:
        """Keeps all of it; every process calls it at the same iteration."""
        state.save_own(self.iteration, self.pool.state_dict())
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            groups = {"student": self.network.state_dict()}
            if self.average is not None:
                groups["average"] = self.average.state_dict()
            state.commit(self.iteration, groups, self.optimizer, self.ledger.model_dump())
        accelerator.wait_for_everyone()


def begin(stage: Stage, accelerator: Accelerator) -> Training:
    """Student, average, optimiser and an empty pool."""
    params, distill = stage.params, stage.distill
    stage.student.requires_grad_()
    average = make_average(stage.student, distill.ema_decay)
    made = make_optimizer(stage.student, learning_rate=params.learning_rate, weight_decay=distill.weight_decay)
    student, optimizer = accelerator.prepare(stage.student, made)
    pool = make_pool(stage, distill.pool_slots, seed_of(stage.seed, Stream.PROCESS, accelerator.process_index))
    return Training(student, accelerator.unwrap_model(student), average, optimizer, pool, Ledger())
