"""The moving average of the student, which is published and which consistency targets come from."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def make_average(student: nn.Module, decay: float) -> AveragedModel | None:
    """An average that begins as the student; none if `decay` is 0.

    average <- d average + (1 - d) student,   d = min(decay, n / (n + 9))

    n is the number of networks averaged so far, the start among them: the decay rises at first, so that the start is
    forgotten. Of low-rank factors the factors are averaged, not their product: the average then has their rank too.
    """
    if decay == 0:
        return None

    def blend(averages: Any, students: Any, num_averaged: Tensor | int) -> None:
        number = int(num_averaged)
        torch._foreach_lerp_(averages, students, 1 - min(decay, number / (number + 9)))

    average = AveragedModel(student, multi_avg_fn=blend)
    average.update_parameters(student)  # counts the start as the first
    return average.requires_grad_(False)
