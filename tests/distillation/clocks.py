"""Clocks that go by what is done and not by what it takes, so that measured figures can be had by hand."""

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

from gpd.models.network import VideoNetwork
from tests.toy import GaussianField, SmallNetwork

NETWORKS = (VideoNetwork, GaussianField, SmallNetwork)


class WorkClock:
    """A sample through a network is a second, its backward two, a step of an optimiser one."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds

    @contextlib.contextmanager
    def running(self) -> Iterator["WorkClock"]:
        hooks = [register_module_forward_hook(self._evaluated), register_optimizer_step_post_hook(self._stepped)]
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    def _evaluated(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if isinstance(module, NETWORKS):
            self.pass_by(len(output))
            if output.requires_grad:
                output.register_hook(lambda gradient: self.pass_by(2 * len(gradient)))

    def _stepped(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.pass_by(1)


def look_clock() -> SimpleNamespace:
    """In place of the module `time`: a second goes by from each look to the next."""
    seconds = iter(range(10**9))

    def look() -> float:
        return float(next(seconds))

    return SimpleNamespace(perf_counter=look, monotonic=look)
