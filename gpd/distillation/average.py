"""The moving average of the student, which is published and which consistency targets come from."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class Average(AveragedModel):
    """Begins as the student and follows it.

    average <- d average + (1 - d) student,   d = min(decay, n / (n + 9))

    n is the number of networks averaged so far, the start among them: the decay rises at first, so that the start is
    forgotten. Of low-rank factors the factors are averaged, not their product: the average then has their rank too.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        super().__init__(student)
        self.decay = decay
        self.n_averaged += 1
        self.requires_grad_(False)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """One step after the student. The count stays on the host: a GPU would have to be waited for."""
        number = int(self.n_averaged)
        pairs = zip(self.module.parameters(), model.parameters(), strict=True)
        averages, trained = zip(*((ours, theirs) for ours, theirs in pairs if theirs.requires_grad), strict=True)
        torch._foreach_lerp_(averages, trained, 1 - min(self.decay, number / (number + 9)))
        self.n_averaged += 1


def make_average(student: nn.Module, decay: float) -> Average | None:
    """An average of the weights that the student learns; none if `decay` is 0."""
    return Average(student, decay) if decay else None
