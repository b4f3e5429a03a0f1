"""Memory of a distillation stage on one of its devices, by part, at its highest moment."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from gpd.distillation.costs import target_forwards
from gpd.distillation.processes.sharding import ROOM, planned_bytes
from gpd.models.wan.outline import weight_bytes
from gpd.params import Params
from gpd.planning.activations import Activations, Run, evaluation, training
from gpd.planning.base import Base
from gpd.planning.devices import GIB, Device

Layout = Literal["one", "ddp", "fsdp"]  # one process; copies on each device; weights shared out over devices
FLOAT32 = 4
PREFETCHED = 2  # blocks that FSDP has whole at a time: the one at work and the next


@dataclass(frozen=True)
class Sizes:
    """Bytes and numbers of the networks of a stage.

    Attributes:
        frozen: bytes of the teacher, in `model.dtype`.
        trained: numbers that are trained: all weights, or the low-rank factors.
        trained_of_block: those of one block.
        block: bytes of one block's weights as they lie on the device.
        num_blocks: of the transformer.
    """

    frozen: float
    trained: float
    trained_of_block: float
    block: float
    num_blocks: int


@dataclass(frozen=True)
class Memory:
    """One device of a distillation stage.

    Attributes:
        parts: bytes by what they are for; what stands on the CPU is in `host`.
        peak: bytes at the highest moment. Gradients come while activations go, so it can be below the sum.
        micro_batch: samples of one forward and backward; `accumulated` of them make the batch of a process.
    """

    layout: Layout
    processes: int
    micro_batch: int
    accumulated: int
    parts: dict[str, float]
    peak: float

    def fits(self, device: Device) -> bool:
        """Whether the device holds the highest moment."""
        return self.peak <= device.usable_bytes


def plan_memory(params: Params, base: Base, device: Device, number: int) -> Memory:
    """The first way in which the heaviest stage fits, or else the one that comes nearest to it.

    Tried are: whole copies before shares of the weights, large micro-batches before small ones.
    """
    batch = max(stage.batch for stage in params.distill.stages.values())
    processes = num_processes(batch, number)
    per_process = batch // processes
    layouts: list[Layout] = ["one"] if processes == 1 else ["ddp", "fsdp"]
    if params.distill.lora_rank > 0:
        layouts = layouts[:1]  # the base of factors is never cut
    tried = []
    for layout in layouts:
        for micro_batch in micro_batches(per_process):
            memory = stage_memory(params, base, layout, processes, micro_batch, per_process // micro_batch)
            if memory.fits(device):
                return memory
            tried.append(memory)
    return min(tried, key=lambda memory: memory.peak)


def cuts_by_itself(params: Params, base: Base, device: Device) -> bool:
    """Whether several processes of a stage share out its weights unless GPD_SHARDING says otherwise."""
    if params.distill.lora_rank > 0:
        return False
    dtype: torch.dtype = getattr(torch, params.model.dtype)
    previous = FLOAT32 if asks_previous(params) else 0
    planned = planned_bytes(
        round(sizes_of(training_run(params, base, 1)).trained),
        has_average=params.distill.ema_decay > 0,
        frozen_bytes=dtype.itemsize + previous,
    )
    return planned > ROOM * device.gib * GIB


def num_processes(batch: int, number: int) -> int:
    """How many of `number` devices share out a batch evenly."""
    return max(each for each in range(1, number + 1) if batch % each == 0)


def micro_batches(per_process: int) -> list[int]:
    """The divisors of a process' batch, largest first."""
    return [each for each in range(per_process, 0, -1) if per_process % each == 0]


def stage_memory(
    params: Params, base: Base, layout: Layout, processes: int, micro_batch: int, accumulated: int
) -> Memory:
    """Of the heaviest stage: one whose targets take a jump, if there is one."""
    run = training_run(params, base, micro_batch)
    sizes, passing = sizes_of(run), training(run)
    share = processes if layout == "fsdp" else 1
    parts = {name: size / share for name, size in resident(params, sizes).items()}
    gradients = FLOAT32 * sizes.trained / share
    gathered = 0.0
    if layout == "ddp":
        parts["buckets of gradients"] = gradients
    if layout == "fsdp":
        gathered = PREFETCHED * sizes.block + FLOAT32 * sizes.trained_of_block
        parts["gathered blocks"] = gathered
    resting = sum(parts.values())
    peak = resting + highest_moment(passing, sizes, gradients, accumulated)
    parts["gradients"] = gradients
    parts["activations"] = passing.peak(sizes.num_blocks)
    asked = resting + max(evaluation(run) for run in frozen_runs(params, base, micro_batch))
    return Memory(layout, processes, micro_batch, accumulated, parts, max(peak, asked))


def frozen_runs(params: Params, base: Base, micro_batch: int) -> list[Run]:
    """Of the networks that make targets: the teacher's, both halves at once, and the previous student's."""
    teacher = evaluation_run(params, base, 2 * micro_batch)
    if not asks_previous(params):
        return [teacher]
    return [teacher, evaluation_run(params, base, micro_batch, is_student=True)]


def highest_moment(passing: Activations, sizes: Sizes, gradients: float, accumulated: int) -> float:
    """Of activations and gradients together; accumulated gradients stay while activations come back."""
    if accumulated > 1:
        return gradients + passing.peak(sizes.num_blocks)
    return passing.peak(sizes.num_blocks, gradients / sizes.num_blocks)


def resident(params: Params, sizes: Sizes) -> dict[str, float]:
    """What stays on the device through the whole stage: weights by role, moments, average."""
    distill, trained = params.distill, FLOAT32 * sizes.trained
    average = {"average": trained} if distill.ema_decay > 0 else {}
    moments = {"AdamW moments": 2 * trained}
    jumps = asks_previous(params)
    if distill.lora_rank > 0:
        previous = {"previous student: adapter": trained} if jumps else {}
        return {"base of all roles": sizes.frozen, "student: adapter": trained, **previous, **average, **moments}
    previous = {"previous student": trained} if jumps else {}  # float32, as `BaseModel.student_dtype` says
    return {"teacher": sizes.frozen, **previous, "student": trained, **average, **moments}


def asks_previous(params: Params) -> bool:
    """Whether any stage's targets evaluate the previous student."""
    before = 0
    for stage in params.distill.stages.values():
        if target_forwards(params.distill, stage, before).get("previous", 0) > 0:
            return True
        before = stage.horizon
    return False


def training_run(params: Params, base: Base, micro_batch: int) -> Run:
    """The student's forward and backward: float32 weights, or factors beside a base in `model.dtype`."""
    model, rank = params.model, params.distill.lora_rank
    return Run(
        architecture=base.architecture,
        shape=base.latent_shape(model),
        batch=micro_batch,
        dtype=model.dtype if rank > 0 else "float32",
        autocast=model.dtype == "bfloat16",
        merge_padding=model.merge_padding,
        lora_rank=rank,
        checkpointing=model.gradient_checkpointing,
    )


def evaluation_run(params: Params, base: Base, batch: int, *, is_student: bool = False) -> Run:
    """A forward of the teacher; or of a finished student, whose whole weights are float32."""
    model = params.model
    return Run(
        architecture=base.architecture,
        shape=base.latent_shape(model),
        batch=batch,
        dtype="float32" if is_student and params.distill.lora_rank == 0 else model.dtype,
        autocast=False,
        merge_padding=model.merge_padding,
    )


@cache
def sizes_of(run: Run) -> Sizes:
    """From the networks of one block and of two: blocks are alike."""
    students = [run.student(blocks) for blocks in (1, 2)]
    trained = [sum(weight.numel() for weight in student.trained.parameters()) for student in students]
    lying = [weight_bytes(student.network) for student in students]
    return Sizes(
        frozen=run.frozen_bytes(),
        trained=trained[0] + (run.num_blocks - 1) * (trained[1] - trained[0]),
        trained_of_block=trained[1] - trained[0],
        block=lying[1] - lying[0],
        num_blocks=run.num_blocks,
    )
