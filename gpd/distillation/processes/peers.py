"""What the processes of a run tell each other about train states, beside the training loop."""

from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor

PATIENCE = timedelta(hours=2)  # with a process whose disk is slow


class Peers:
    """All processes of this run; made by all of them at the same point.

    Their messages go over gloo on a group of its own: a save's come from a thread of its own, and must neither wait for
    the loop's messages nor come between them.
    """

    def __init__(self) -> None:
        self.is_alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        self.rank = 0 if self.is_alone else torch.distributed.get_rank()
        self.number = 1 if self.is_alone else torch.distributed.get_world_size()
        self.group = None if self.number == 1 else torch.distributed.new_group(backend="gloo", timeout=PATIENCE)

    def gather(self, value: Tensor) -> list[Tensor]:
        """Everyone's value, a CPU tensor of the same shape for all, by rank; returns when all have given theirs."""
        if self.group is None:
            return [value]
        values = [torch.empty_like(value) for _ in range(self.number)]
        torch.distributed.all_gather(values, value, group=self.group)
        return values
