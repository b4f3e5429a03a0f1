"""What would make a plan fit: the keys that a person can change, each tried."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gpd.params import Params
from gpd.planning.base import Base
from gpd.planning.devices import Device
from gpd.planning.memory import Memory, plan_memory

NUMBERS = (2, 4, 8, 16, 32)
RANK = 64  # as in the profiles of factors


@dataclass(frozen=True)
class Remedy:
    """A change, in the words of params.yaml."""

    words: str
    applies: Callable[[Params], bool]
    change: Callable[[Params], Params]


def change_model(params: Params, **values: object) -> Params:
    """Params with other values in their section `model`."""
    return params.model_copy(update={"model": params.model.model_copy(update=values)})


def change_distill(params: Params, **values: object) -> Params:
    """Params with other values in their section `distill`."""
    return params.model_copy(update={"distill": params.distill.model_copy(update=values)})


def change_batch(params: Params, batch: int) -> Params:
    """Params in which every stage has this batch."""
    stages = {name: stage.model_copy(update={"batch": batch}) for name, stage in params.distill.stages.items()}
    return change_distill(params, stages=stages)


REMEDIES = (
    Remedy(
        "model.gradient_checkpointing=true",
        lambda params: not params.model.gradient_checkpointing,
        lambda params: change_model(params, gradient_checkpointing=True),
    ),
    Remedy(
        "model.dtype=bfloat16",
        lambda params: params.model.dtype != "bfloat16",
        lambda params: change_model(params, dtype="bfloat16"),
    ),
    Remedy(
        f"distill.lora_rank={RANK}",
        lambda params: params.distill.lora_rank == 0,
        lambda params: change_distill(params, lora_rank=RANK),
    ),
)


def find_remedies(params: Params, base: Base, device: Device, number: int) -> list[str]:
    """Changes that make the heaviest stage fit, one alone where that is enough, and how much it then needs."""
    able = [remedy for remedy in REMEDIES if remedy.applies(params)]
    found = [
        f"{remedy.words} ({memory.peak / 1e9:.1f} GB)"
        for remedy in able
        if (memory := plan_memory(remedy.change(params), base, device, number)).fits(device)
    ]
    return [*found, *_more_devices(params, base, device, number)] or list(_all_at_once(params, base, device, number))


def _more_devices(params: Params, base: Base, device: Device, number: int) -> Iterator[str]:
    """The smallest number of devices over which the weights can be shared out."""
    batch = max(stage.batch for stage in params.distill.stages.values())
    for more in (each for each in NUMBERS if each > number):
        changed = change_batch(params, more) if batch % more else params
        if (memory := plan_memory(changed, base, device, more)).fits(device):
            key = "" if changed is params else f" with distill.stages.*.batch={more}"
            yield f"--gpu {device.name}:{more}{key} ({memory.peak / 1e9:.1f} GB each)"
            return


def _all_at_once(params: Params, base: Base, device: Device, number: int) -> Iterator[str]:
    able = [remedy for remedy in REMEDIES if remedy.applies(params)]
    for remedy in able:
        params = remedy.change(params)
    memory: Memory = plan_memory(params, base, device, number)
    if able and memory.fits(device):
        yield f"{' and '.join(remedy.words for remedy in able)} ({memory.peak / 1e9:.1f} GB)"
