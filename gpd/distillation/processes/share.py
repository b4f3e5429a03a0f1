"""How processes share out what they do together: by position, so that no result depends on how many they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from gpd.artifacts import UserError
from gpd.data.environment import number_from

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Share:
    """Of n rows, process `index` of `number` does those at index, index + number, index + 2 number, ..

    Attributes:
        device: where the processes exchange rows.
        meet: called by each process before it exchanges rows.
    """

    index: int = 0
    number: int = 1
    device: torch.device = CPU
    meet: Callable[[], None] = lambda: None

    def own(self, rows: Any) -> Any:
        """Those rows of a tensor, a list or a range that this process does."""
        return rows[self.index :: self.number]

    def together(self, own: Tensor, total: int) -> Tensor:
        """All `total` rows on `device`, of each process' own; every process calls it."""
        if self.number == 1:
            return own.to(self.device)
        self.meet()
        longest = -(-total // self.number)
        padded = torch.zeros(longest, *own.shape[1:], dtype=own.dtype, device=self.device)
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(self.number)]
        distributed.all_gather(parts, padded)
        return torch.stack(parts, 1).flatten(0, 1)[:total]


def check_batch(name: str, batch: int, number: int) -> None:
    """Whether so many processes divide the batch of stage `name`.

    Raises:
        UserError: they do not.
    """
    if batch % number:
        key = f"distill.stages.{name}.batch={batch}"
        raise UserError(f"params.yaml: {key} on {number} processes: they do not divide it")


def micro_batch(own: int) -> int:
    """Samples of a process' `own` that go through the networks at once: all, or GPD_MICRO_BATCH of them."""
    return min(own, number_from("GPD_MICRO_BATCH") or own)


def pieces(number: int, at_most: int) -> Sequence[slice]:
    """range(number) in slices of at most so many."""
    return [slice(first, first + at_most) for first in range(0, number, at_most)]
