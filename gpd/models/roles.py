"""Teacher, previous student, student and its average as one frozen network and a pair of thin factors for each."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpd.artifacts import UserError
from gpd.models.adapters import (
    SIDES,
    Factors,
    adapted_layers,
    add_factors,
    block_matrices,
    check_names,
    check_rank,
    fill,
)


class Roles:
    """A network whose weights several roles share; each adds factors of its own, and one is active at a time.

    Args:
        network: plain; it is frozen here.
        rank: of every role's factors.

    Raises:
        UserError: a matrix of the blocks has no such rank.
    """

    def __init__(self, network: nn.Module, rank: int) -> None:
        check_rank(network, rank)
        self.network, self.rank = network.requires_grad_(False), rank
        self.matrices = list(block_matrices(network))
        self.layers: dict[str, Any] = {}
        self.active: list[str] = []  # PEFT's layers read it: one name or none
        self.numbers = itertools.count(1)  # of copies

    def plain(self) -> "Role":
        """The network as it is, without factors."""
        return Role(self, None)

    def begin(self, name: str, seed: int) -> "Role":
        """New factors, under which the network is still the plain one; equal seeds give equal factors."""
        with self._keeping_what_is_trained():
            add_factors(self.network, self.matrices, name, self.rank, seed)
        self.layers = adapted_layers(self.network)
        for _, factor in self.factors(name):
            factor.requires_grad_(False).float()
        for layer in self.layers.values():
            # One list for all: PEFT's `set_adapter` visits each layer and takes what is active for what is trained
            layer._active_adapter = self.active
            layer.cast_input_dtype_enabled = False  # `multiplying` sees to it, without a float32 copy of the features
        self.activate(name)
        return Role(self, name)

    def load(self, name: str, factors: Factors, source: Path) -> "Role":
        """The factors of an adapter that comes from `source`.

        Raises:
            UserError: it is for other matrices, or of another rank.
        """
        if factors.rank != self.rank:
            raise UserError(
                f"params.yaml: distill.lora_rank={self.rank}, but {source} is an adapter of rank {factors.rank}; "
                "all stages have the same"
            )
        check_names(self.matrices, factors, source)
        role = self.begin(name, seed=0)
        fill(self.layers, name, factors)
        return role

    def copy(self, role: "Role") -> "Role":
        """Factors that begin as those of `role` and then go their own way."""
        copied = self.begin(f"{role.name}-{next(self.numbers)}", seed=0)
        copied.load_state_dict(role.state_dict())
        return copied

    def factors(self, name: str) -> list[tuple[str, nn.Module]]:
        """A and B of each matrix under the names that diffusers stores them by."""
        return [
            (f"{matrix}.{side}", getattr(layer, side)[name]) for matrix, layer in self.layers.items() for side in SIDES
        ]

    def activate(self, name: str | None) -> None:
        """The network computes with these factors from now on; None: with none."""
        self.active[:] = [] if name is None else [name]

    @contextlib.contextmanager
    def _keeping_what_is_trained(self) -> Iterator[None]:
        """PEFT takes the newest factors for the ones to train."""
        sides = [getattr(layer, side) for layer in self.layers.values() for side in SIDES]
        weights = [weight for side in sides for weight in side.parameters()]
        trained = [weight.requires_grad for weight in weights]
        yield
        for weight, is_trained in zip(weights, trained, strict=True):
            weight.requires_grad_(is_trained)

    def multiplying(self) -> torch.autocast:
        """Products with float32 factors in the format of the weights beside them."""
        weight: Tensor = self.layers[self.matrices[0]].weight
        return torch.autocast(weight.device.type, weight.dtype, enabled=weight.dtype != torch.float32)


class Role(nn.Module):
    """The shared network as one role sees it: `network(latents, timesteps, text) -> velocity`.

    Its parameters and its state are its own factors and nothing else, float32, by the names of diffusers' adapters
    (`transformer.blocks.0.attn1.to_q.lora_A.weight`); the teacher has none. A deep copy has factors of its own on the
    same weights.
    """

    def __init__(self, roles: Roles, name: str | None) -> None:
        super().__init__()
        self.roles, self.name = roles, name
        for path, factor in [] if name is None else roles.factors(name):
            _register(self, path, factor)

    def forward(self, *args: Tensor) -> Tensor:
        """What the shared network predicts in this role."""
        self.roles.activate(self.name)
        with contextlib.nullcontext() if self.name is None else self.roles.multiplying():
            velocity: Tensor = self.roles.network(*args)
        if velocity.requires_grad:
            # Checkpointed blocks are computed again in the backward, when another role may have been asked meanwhile.
            velocity.register_hook(lambda _: self.roles.activate(self.name))
        return velocity

    @property
    def adapter(self) -> Factors:
        """Its factors, to be stored."""
        return Factors(self.roles.rank, self.state_dict())

    def __deepcopy__(self, memo: dict[int, Any]) -> "Role":
        return self.roles.copy(self)


def _register(module: nn.Module, path: str, child: nn.Module) -> None:
    """Makes `child` the submodule at a path of names with dots; what lies between are empty modules."""
    *folders, last = path.split(".")
    for folder in folders:
        if folder not in dict(module.named_children()):
            module.add_module(folder, nn.Module())
        module = module.get_submodule(folder)
    module.add_module(last, child)
