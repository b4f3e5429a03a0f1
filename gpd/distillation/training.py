"""All that changes while a stage trains: begun anew, or where a train state was left."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.optim.swa_utils import AveragedModel

from gpd.core.randomness import Stream, seed_of
from gpd.distillation.average import make_average
from gpd.distillation.batches import make_pool
from gpd.distillation.ledger import Ledger
from gpd.distillation.optimizers import make_optimizer, make_room, moments_of
from gpd.distillation.pool import Pool
from gpd.distillation.sharding import gather, outline_of, shard
from gpd.distillation.stage import Stage
from gpd.distillation.train_state import Saved, TrainState
from gpd.models import adapters as lora


@dataclass
class Training:
    """The parts that the loop works on; `network` is the student without what accelerate wraps around it."""

    student: nn.Module
    network: nn.Module
    average: AveragedModel | None
    outline: nn.Module | None  # of a student that is cut over processes
    optimizer: Any
    pool: Pool
    ledger: Ledger
    iteration: int = 0  # the next one to do

    @property
    def published(self) -> nn.Module:
        """The average, or the student itself if none is kept."""
        published: nn.Module = self.network if self.average is None else self.average.module
        return published

    def whole(self) -> nn.Module:
        """What is published as a network of its own, on the main process; every process calls it."""
        if self.outline is None:
            return self.published
        return gather(self.published, self.outline, is_main=distributed.get_rank() == 0)

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, by name; of the weights those that learn."""
        groups = {
            "student": trained_weights(self.network),
            "optimizer": moments_of(self.optimizer),
            "pool": self.pool.state_dict(),
        }
        if self.average is not None:
            groups["average"] = averaged_weights(self.average, groups["student"])
        return {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}

    def restore(self, saved: Saved) -> None:
        """Goes on where a train state was left."""
        make_room(self.optimizer)
        tensors = self.tensors()
        saved.fill(tensors)
        self.pool.load_state_dict({name: tensors[f"pool.{name}"] for name in self.pool.state_dict()})
        self.ledger, self.iteration = Ledger.model_validate(saved.facts), saved.iteration

    def save(self, state: TrainState) -> None:
        """Keeps all of it; every process calls it at the same iteration."""
        state.save(self.iteration, self.tensors(), self.ledger.model_dump())


def trained_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights that learn: the others are read from the folders that the stage began with."""
    return {name: weight.detach() for name, weight in network.named_parameters() if weight.requires_grad}


def averaged_weights(average: AveragedModel, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averages of the weights that learn, and of how many networks they are."""
    averages = {name: average.module.get_parameter(name).detach() for name in trained}
    return {**averages, "n_averaged": average.n_averaged}


def cut(mesh: DeviceMesh, student: nn.Module, average: AveragedModel | None) -> nn.Module:
    """Cuts what learns over the processes of `mesh` and returns the student's outline."""
    outline = outline_of(student)
    for network in [student] if average is None else [student, average.module]:
        shard(network, mesh)
    return outline


def begin(stage: Stage, accelerator: Accelerator) -> Training:
    """Student, average, optimiser and an empty pool."""
    params, distill = stage.params, stage.distill
    lora.make_trainable(stage.student, distill.lora_rank, stage.seed)
    average = make_average(stage.student, distill.ema_decay)
    outline = cut(stage.mesh, stage.student, average) if stage.mesh else None
    made = make_optimizer(stage.student, learning_rate=params.learning_rate, weight_decay=distill.weight_decay)
    # What FSDP has cut needs no wrapper around it: DDP would keep whole gradients.
    student = stage.student if stage.mesh else accelerator.prepare(stage.student)
    optimizer = accelerator.prepare(made)
    pool = make_pool(stage, distill.pool_slots, seed_of(stage.seed, Stream.PROCESS, accelerator.process_index))
    return Training(student, accelerator.unwrap_model(student), average, outline, optimizer, pool, Ledger())
