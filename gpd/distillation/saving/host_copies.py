"""Copies in the host's memory of what goes on changing on the device."""

from collections.abc import Mapping

import torch

from gpd.distillation.saving.pieces import Piece


class HostCopies:
    """Room for one copy of each piece, kept from save to save: pinned memory is fast to copy to and slow to get."""

    def __init__(self) -> None:
        self.room: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def take(self, pieces: Mapping[str, Piece]) -> dict[str, Piece]:
        """Copies as of now; the next call writes over them."""
        copies = {name: Piece(self._copy(name, piece.data), piece.offset) for name, piece in pieces.items()}
        for device in {piece.data.device for piece in pieces.values() if piece.data.is_cuda}:
            torch.cuda.synchronize(device)
        return copies

    def _copy(self, name: str, data: torch.Tensor) -> torch.Tensor:
        room = self.room.get(name)
        if room is None or room.shape != data.shape or room.dtype != data.dtype:
            room = torch.empty(data.shape, dtype=data.dtype, pin_memory=data.is_cuda)
        self.room[name] = room
        return room.copy_(data, non_blocking=True)
