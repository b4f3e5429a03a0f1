"""Memory of forwards and backwards, from the network's own code run on tensors without data.

A network of two blocks and one of three are run; blocks are alike, so the rest follows:

    peak of L blocks = ends + L * kept

`kept` is what a block leaves for the backward: all that autograd saves, or the block's input if it is checkpointed.
`ends` is what stands above that at the highest moment: the block that is being worked on, the layers before and after
the blocks, the loss. Gradients of weights are left out, for `gpd.planning.memory` counts them where they belong.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gpd.models.network import VideoNetwork
from gpd.models.roles import Roles
from gpd.models.wan.architectures import Architecture
from gpd.models.wan.outline import outline, weight_bytes
from gpd.models.wan.text import TEXT_LENGTH
from gpd.planning.live import LiveBytes


class Activations(NamedTuple):
    """Bytes at the highest moment of one micro-batch: `ends`, and `kept` for each block."""

    ends: float
    kept: float

    def peak(self, num_blocks: int, gradients: float = 0.0) -> float:
        """Of a forward and a backward through `num_blocks`, with gradients of so many bytes a block.

        The backward goes from the last block to the first: what blocks kept goes, their gradients come; so its highest
        moment is at its beginning or at its end.
        """
        return self.ends + num_blocks * max(self.kept, gradients)


@dataclass(frozen=True)
class Run:
    """What is run: so many samples of this shape through such a network.

    Attributes:
        shape: [C, F, H, W] of the latents.
        dtype: of the weights; the products are of bfloat16 if `autocast`.
    """

    architecture: Architecture
    shape: tuple[int, ...]
    batch: int
    dtype: str
    autocast: bool
    merge_padding: bool = False
    lora_rank: int = 0
    checkpointing: bool = False

    def frozen(self, num_blocks: int) -> VideoNetwork:
        """A frozen role on the meta device: in bfloat16 where the student multiplies in it."""
        return self._outline(num_blocks, "bfloat16" if self.autocast else self.dtype)

    def frozen_bytes(self) -> float:
        """Of all blocks of a frozen role."""
        one, two = (weight_bytes(self.frozen(blocks)) for blocks in (1, 2))
        return one + (self.num_blocks - 1) * (two - one)

    @property
    def num_blocks(self) -> int:
        """Of the whole transformer."""
        return int(self.architecture.transformer["num_layers"])

    def student(self, num_blocks: int) -> "Student":
        """On the meta device."""
        network = self._outline(num_blocks, self.dtype)
        if self.checkpointing:
            network.transformer.enable_gradient_checkpointing()
        if self.lora_rank == 0:
            return Student(network, network.requires_grad_())
        with torch.device("meta"):
            role = Roles(network, self.lora_rank).begin("student", seed=0)
        return Student(network, role.requires_grad_())

    def _outline(self, num_blocks: int, dtype: str) -> VideoNetwork:
        return outline(self.architecture, dtype=dtype, merge_padding=self.merge_padding, num_blocks=num_blocks)


class Student(NamedTuple):
    """All weights, and what is called and trained: the same, or a role with factors of its own."""

    network: VideoNetwork
    trained: nn.Module


def training(run: Run) -> Activations:
    """Of a student's forward and backward."""
    two, three = (_along_batch(run, blocks, _forward_and_backward) for blocks in (2, 3))
    return Activations(ends=two - 2 * (three - two), kept=three - two)


def evaluation(run: Run) -> float:
    """Bytes at the highest moment of a forward that keeps nothing; all blocks of it are alike, so two show it."""
    with torch.no_grad():
        return _along_batch(run, 2, _forward)


def _along_batch(run: Run, num_blocks: int, work: "Work") -> float:
    """The peak of a run, straight on from batches of 1 and 2."""
    one = _peak(replace(run, batch=1), num_blocks, work)
    if run.batch == 1:
        return one
    return one + (run.batch - 1) * (_peak(replace(run, batch=2), num_blocks, work) - one)


@cache
def _peak(run: Run, num_blocks: int, work: "Work") -> float:
    student = run.student(num_blocks)
    with FakeTensorMode():
        _give_fake_weights(student.network)
        _as_on_cuda(student.network)
        live = LiveBytes(student.network.parameters())
        with live:
            work(student.trained, run)
    return float(live.peak)


def _forward(student: nn.Module, run: Run) -> Tensor:
    latents = torch.empty(run.batch, *run.shape)
    text = torch.empty(run.batch, TEXT_LENGTH, run.architecture.transformer["text_dim"])
    with torch.autocast("cpu", torch.bfloat16, enabled=run.autocast, cache_enabled=False):
        velocity: Tensor = student(latents, torch.empty(run.batch), text)
    return velocity


def _forward_and_backward(student: nn.Module, run: Run) -> None:
    for weight in student.parameters():
        weight.register_post_accumulate_grad_hook(_drop_gradient)
    _forward(student, run).square().mean().backward()


Work = Callable[[nn.Module, Run], object]


def _drop_gradient(weight: Tensor) -> None:
    weight.grad = None


def _give_fake_weights(network: nn.Module) -> None:
    """Weights on the meta device become weights of the current FakeTensorMode: on the CPU by name, without data."""
    for module in network.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                empty = torch.empty(weight.shape, dtype=weight.dtype)
                module._parameters[name] = nn.Parameter(empty, requires_grad=weight.requires_grad)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def _as_on_cuda(network: nn.Module) -> None:
    """CUDA normalises by root mean squares in one operation, which keeps its input; the CPU composes it of several."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.RMSNorm):
            network.set_submodule(name, _FusedNorm(module))


class _FusedNorm(nn.Module):
    """Under autocast in float32, which its result then is."""

    def __init__(self, norm: nn.RMSNorm) -> None:
        super().__init__()
        self.weight, self.shape, self.eps = norm.weight, list(norm.normalized_shape), norm.eps

    def forward(self, features: Tensor) -> Tensor:
        dtype = torch.float32 if torch.is_autocast_enabled("cpu") else features.dtype
        fused = torch.ops.aten._fused_rms_norm
        normalised: Tensor = fused(features.to(dtype), self.shape, self.weight.to(dtype), self.eps)[0]
        return normalised
