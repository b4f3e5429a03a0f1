"""Networks cut over the processes of a run (FSDP2: `torch.distributed.fsdp.fully_shard`) if they do not fit one device.

Each process keeps a row block of every weight, its gradient, its moments and its average; before a transformer block
computes, its rows are brought together, and freed after it. What is computed stays the same to rounding, so this is no
key of params.yaml: it follows from the sizes, and GPD_SHARDING=full or =none overrides it.
"""

import copy
import itertools
import math
import os
import warnings
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from gpd.artifacts import UserError

ENVIRONMENT, CHOICES = "GPD_SHARDING", ("full", "none")
ROOM = 0.7  # of a device's memory, for what `planned_bytes` counts; the rest is for activations


def planned_bytes(num_weights: int, *, has_average: bool, frozen_bytes: int) -> int:
    """What a stage of full fine-tuning keeps on a device, activations apart.

    A weight that learns takes 16 bytes: itself, its gradient and AdamW's two moments, all float32; its average 4 more.

    Args:
        frozen_bytes: of one weight in all networks beside the student together, which are of the same size.
    """
    return num_weights * (16 + 4 * has_average + frozen_bytes)


def choose_mesh(device: torch.device, planned: int, environment: Mapping[str, str] = os.environ) -> DeviceMesh | None:
    """The processes that networks are cut over; None if each keeps them whole, as a process alone does.

    Args:
        planned: bytes, of `planned_bytes`.

    Raises:
        UserError: GPD_SHARDING has another value than "full" and "none".
    """
    choice = environment.get(ENVIRONMENT, "").strip()
    if choice and choice not in CHOICES:
        raise UserError(f"{ENVIRONMENT}={choice!r} must be one of: {', '.join(CHOICES)}")
    number = distributed.get_world_size() if distributed.is_initialized() else 1
    fits = planned <= ROOM * memory_bytes(device)
    if number == 1 or choice == "none" or (fits and not choice):
        return None
    return init_device_mesh(device.type, (number,))


def memory_bytes(device: torch.device) -> float:
    """Of a GPU; without end for a CPU, whose processes share one memory, so that cutting saves nothing."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else math.inf


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Cuts a network, trained or frozen, in place and leaves each part on its process' device.

    Whatever wraps or compiles blocks comes before this. Weights keep their formats: the student's are brought together
    in float32 and cast by autocast as without sharding, so that nothing which Wan keeps in float32 is rounded. That is
    twice the traffic of bfloat16, and still a small part of a block's time at Wan's number of tokens.
    """
    # The networks return views, into which nothing here writes.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    for module in [*blocks_of(network), network]:
        # True for the root as well, which by default stays whole after a forward: the average moves between forwards.
        fully_shard(module, mesh=mesh, reshard_after_forward=True)


def shard_like(outline: nn.Module, network: nn.Module, mesh: DeviceMesh, device: torch.device) -> None:
    """Cuts the outline of a network that is cut already and copies the values, so that no process has it whole."""
    shard(outline, mesh)
    outline.to_empty(device=device)
    with torch.no_grad():
        for own, other in zip(_tensors(outline), _tensors(network), strict=True):
            own.copy_(other)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    return itertools.chain(network.parameters(), network.buffers())


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The transformer's blocks."""
    found = [module for name, module in network.named_modules() if name.rpartition(".")[2] == "blocks"]
    return [block for blocks in found for block in blocks.children()]


def outline_of(network: nn.Module) -> nn.Module:
    """A copy of a network that is not cut yet, without the values of its weights and so without their memory."""
    weights = {id(weight): nn.Parameter(torch.empty_like(weight, device="meta")) for weight in network.parameters()}
    return copy.deepcopy(network, weights)


def plain(tensor: Tensor) -> Tensor:
    """The whole of a tensor that is cut over processes, on each; every process calls it. Others are returned as is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gather(network: nn.Module, outline: nn.Module, is_main: bool) -> nn.Module:
    """A whole network on the CPU of the main process with the weights of one that is cut; every process calls it.

    Args:
        outline: `outline_of` the network; it is filled and returned, in other processes as it is.
    """
    weights: dict[str, Tensor] = {}
    for name, weight in network.named_parameters():
        whole = plain(weight.data)
        if is_main:
            weights[name] = whole.cpu()
    if is_main:
        outline.load_state_dict(weights, strict=False, assign=True)
    return outline
