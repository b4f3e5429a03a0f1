"""Copies between host and device for which neither waits."""

from typing import NamedTuple

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device, through pinned memory, so that the host goes on at once; itself if it is there."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class _Coming(NamedTuple):
    """Rows under way: their places, their values in pinned memory, and when these are there."""

    rows: Tensor
    values: Tensor
    arrived: torch.cuda.Event


class HostRows:
    """A tensor in host memory whose rows a device fills: one is waited for only when it is read."""

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self.coming: list[_Coming] = []

    def write(self, rows: Tensor, values: Tensor) -> None:
        """Puts values, from whichever device, at `rows` [n] int64."""
        if values.device.type != "cuda":
            self.values[rows] = values
            return
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(values.device))
        self.coming.append(_Coming(rows, host, arrived))

    def read(self, rows: Tensor) -> Tensor:
        """The values at `rows` [n] int64."""
        while any(torch.isin(rows, under_way.rows).any() for under_way in self.coming):
            self._settle()
        return self.values[rows]

    def all(self) -> Tensor:
        """Every row."""
        while self.coming:
            self._settle()
        return self.values

    def _settle(self) -> None:
        under_way = self.coming.pop(0)
        under_way.arrived.synchronize()
        self.values[under_way.rows] = under_way.values
