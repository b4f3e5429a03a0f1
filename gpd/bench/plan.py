"""What `gpd plan` says of the device that is measured."""

import os

import torch

from gpd.params import Params
from gpd.planning.base import find_base
from gpd.planning.devices import DEVICES, Device
from gpd.planning.memory import Memory, plan_memory

GIB = 2**30
SPARE_GIB = 4  # two sizes of one model of GPU differ by more


def find_device(name: str, gib: float) -> Device | None:
    """The device of the plan's table that calls itself so and has about as much memory, if there is one."""
    told = "".join(name.lower().split())
    return next(
        (
            device
            for device in DEVICES.values()
            if device.name.partition("-")[0] in told and abs(device.gib - gib) < SPARE_GIB
        ),
        None,
    )


def this_gpu() -> Device | None:
    """That of this process."""
    return find_device(torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory / GIB)


def planned(params: Params) -> Memory | None:
    """Of a training step on this process' GPU, one that the plan knows; the base model lies where params say."""
    device = this_gpu() if torch.cuda.is_available() else None
    return None if device is None else plan_memory(params, find_base(params.model), device, 1)


def follow_plan(params: Params) -> None:
    """So many samples go through the networks at once as fit by the plan, unless the environment says otherwise."""
    memory = planned(params)
    if memory is not None:
        os.environ.setdefault("GPD_MICRO_BATCH", str(memory.micro_batch))
