"""Calls of networks that are cut over processes, where one process needs more of them than another."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gpd.distillation.processes.peers import Peers

NOBODY = 0


class Turns:
    """Has all processes call the same network at the same time, though each decides by itself what it needs.

    A cut network can only compute if all processes call it, since each has a part of its weights. But one process may
    walk a new trajectory while the others have none, or a longer one. So before each call the processes agree on a
    network that some of them need; the others compute it on `example` and drop the result. Whoever needs no more waits
    in `meet`, helping until nobody does. One agreement is a few bytes, beside the forward of a network that does not
    fit a device.

    Args:
        example: latents [1, C, F, H, W], timesteps [1] and text [1, L, D].
        device: of the networks.
    """

    def __init__(self, example: tuple[Tensor, Tensor, Tensor], device: torch.device) -> None:
        self.example, self.peers = [part.to(device) for part in example], Peers()
        self.networks: list[nn.Module] = []
        self.is_helping = False

    def add(self, network: nn.Module) -> None:
        """From now on every call of the network is agreed on; all processes add the same ones in the same order."""
        self.networks.append(network)
        network.register_forward_pre_hook(self._before(len(self.networks)), prepend=True)

    def _before(self, number: int) -> Callable[[nn.Module, Any], None]:
        def wait(network: nn.Module, inputs: Any) -> None:
            if self.is_helping:
                return
            if torch.is_grad_enabled() and any(weight.requires_grad for weight in network.parameters()):
                self.meet()  # all train together, and as often
                return
            while (chosen := self._agree(number)) != number:
                self._help(chosen)

        return wait

    def meet(self) -> None:
        """Returns when no process needs a network any more; all call it before they do something else together."""
        while (chosen := self._agree(NOBODY)) != NOBODY:
            self._help(chosen)

    def _agree(self, wanted: int) -> int:
        return int(max(self.peers.gather(torch.tensor(wanted))))

    @torch.no_grad()
    def _help(self, number: int) -> None:
        self.is_helping = True
        try:
            self.networks[number - 1](*self.example)
        finally:
            self.is_helping = False
