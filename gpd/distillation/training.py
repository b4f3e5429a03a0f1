"""All that changes while a stage trains: begun anew, or where a train state was left."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh

from gpd.core.randomness import Stream, seed_of
from gpd.distillation.average import Average, make_average
from gpd.distillation.batches import make_pool
from gpd.distillation.ledger import Ledger
from gpd.distillation.optimizers import make_optimizer, make_room, moments_of
from gpd.distillation.processes.sharding import gather, outline_of, shard, shard_like
from gpd.distillation.processes.share import Share, check_batch, micro_batch, pieces
from gpd.distillation.processes.turns import Turns
from gpd.distillation.saving.train_state import Saved, TrainState
from gpd.distillation.stage import Stage
from gpd.distillation.states import States
from gpd.distillation.states.pool import Pool


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
    average: Average | None
    outline: nn.Module | None  # of a student that is cut over processes
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

    def predict(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        """What the student predicts, multiplied in the format of the run."""
        with self.accelerator.autocast():
            velocity: Tensor = self.student(*args, **kwargs)
        return velocity

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


def averaged_weights(average: Average, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averages of the weights that learn, and of how many networks they are."""
    averages = {name: average.module.get_parameter(name).detach() for name in trained}
    return {**averages, "n_averaged": average.n_averaged}


def cut(stage: Stage, mesh: DeviceMesh) -> tuple[nn.Module, Average | None, Turns]:
    """Cuts the student over the processes of `mesh`; its outline, its average, cut too, and whose turn it is."""
    outline = outline_of(stage.student)
    average = make_average(outline, stage.distill.ema_decay)
    shard(stage.student, mesh)
    turns = Turns((torch.zeros(1, *stage.latent_shape), torch.zeros(1), stage.negative[None]), stage.device)
    networks = [stage.student, stage.teacher]
    if average is not None:
        shard_like(average.module, stage.student, mesh, stage.device)
        networks.append(average.module)
    if stage.previous is not None:
        networks.append(stage.previous)
    for network in networks:
        turns.add(network)
    return outline, average, turns


def begin(stage: Stage, accelerator: Accelerator) -> Training:
    """Student, average, optimiser and an empty pool.

    Raises:
        UserError: the processes do not divide the batch.
    """
    params, distill = stage.params, stage.distill
    share = Share(accelerator.process_index, accelerator.num_processes, stage.device)
    check_batch(stage.name, params.batch, share.number)
    stage.student.requires_grad_()
    if stage.mesh is None:
        outline, average = None, make_average(stage.student, distill.ema_decay)
    else:
        outline, average, turns = cut(stage, stage.mesh)
        share = dataclasses.replace(share, meet=turns.meet)
    made = make_optimizer(stage.student, learning_rate=params.learning_rate, weight_decay=distill.weight_decay)
    # What FSDP has cut needs autocast but no DDP around it ("evaluation_mode"), which would keep whole gradients.
    student = accelerator.prepare_model(stage.student, evaluation_mode=stage.mesh is not None)
    return Training(
        accelerator=accelerator,
        share=share,
        student=student,
        network=stage.student,
        average=average,
        outline=outline,
        optimizer=accelerator.prepare_optimizer(made),
        pool=make_pool(stage, distill.pool_slots, seed_of(stage.seed, Stream.POOL), share),
        ledger=Ledger(),
        at_once=micro_batch(params.batch // share.number),
    )
