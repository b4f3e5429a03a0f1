"""Tensors on disk in pieces: each process writes what lies in it, and any number of processes read what they need.

PyTorch's own format for this (torch.distributed.checkpoint) keeps its table of contents as a pickle, which runs code
when it is loaded. Its variant in safetensors has no table, and so neither a moment of publication nor a way to see that
a file is missing. Here the place of each piece stands in the header of its safetensors file, as JSON.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from gpd.artifacts import system_errors
from gpd.documents.reading import parse_json

OFFSETS = "offsets"  # key of the header: name of a tensor -> where its piece begins in the whole


class Piece(NamedTuple):
    """A block of a tensor that begins at `offset`, one number for each axis."""

    data: Tensor
    offset: tuple[int, ...]


class Place(NamedTuple):
    """Where a piece lies on disk."""

    path: Path
    offset: tuple[int, ...]
    shape: tuple[int, ...]


def piece_of(tensor: Tensor) -> Piece:
    """What of a tensor lies in this process: its shard, or all of it."""
    if isinstance(tensor, DTensor):
        _, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
        return Piece(tensor.to_local(), tuple(offset))
    return Piece(tensor, (0,) * tensor.ndim)


def pieces_to_write(tensors: Mapping[str, Tensor], rank: int, num_processes: int) -> dict[str, Piece]:
    """This process' part: its shards, and some of the tensors that lie whole in every process."""
    whole = {name: tensor.nbytes for name, tensor in tensors.items() if not isinstance(tensor, DTensor)}
    writers = share_out(whole, num_processes)
    pieces = {name: piece_of(tensor) for name, tensor in tensors.items() if writers.get(name, rank) == rank}
    return {name: piece for name, piece in pieces.items() if piece.data.numel()}


def share_out(sizes: Mapping[str, int], num_processes: int) -> dict[str, int]:
    """Name -> process, so that all have about the same to write: the largest first, to whoever has least."""
    loads = [0] * num_processes
    writers = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        writers[name] = loads.index(min(loads))
        loads[writers[name]] += sizes[name]
    return writers


def write_pieces(path: Path, pieces: Mapping[str, Piece]) -> None:
    """One safetensors file of this process' pieces."""
    offsets = {name: piece.offset for name, piece in pieces.items()}
    tensors = {name: piece.data.contiguous() for name, piece in pieces.items()}
    with system_errors(path):
        save_file(tensors, path, metadata={OFFSETS: json.dumps(offsets)})


def find_pieces(paths: Sequence[Path]) -> dict[str, list[Place]]:
    """Name -> places of its pieces, from the headers of all processes' files."""
    places: dict[str, list[Place]] = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for name, offset in parse_json(file.metadata()[OFFSETS]).items():
                shape = tuple(file.get_slice(name).get_shape())
                places.setdefault(name, []).append(Place(path, tuple(offset), shape))
    return places


@torch.no_grad()
def fill(tensors: Mapping[str, Tensor], places: Mapping[str, Sequence[Place]]) -> None:
    """Copies from disk into each tensor, or into the shard of it that lies here.

    Raises:
        KeyError: the pieces of a tensor are not as many values as it has, or do not cover it.
    """
    for name, tensor in tensors.items():
        target, kept = piece_of(tensor), places.get(name, [])
        saved = sum(math.prod(place.shape) for place in kept)
        if saved != tensor.numel() or sum(_copy_common(name, target, place) for place in kept) != target.data.numel():
            raise KeyError(f"{name}: {saved} of {tensor.numel()} values")


def _copy_common(name: str, target: Piece, place: Place) -> int:
    """Copies what target and place have in common; returns how many values that is."""
    first = [max(pair) for pair in zip(target.offset, place.offset, strict=True)]
    sizes = zip(target.offset, target.data.shape, place.offset, place.shape, strict=True)
    last = [min(begin + size, other + length) for begin, size, other, length in sizes]
    if any(begin >= end for begin, end in zip(first, last, strict=True)):
        return 0
    with safe_open(place.path, framework="pt") as file:
        data = file.get_slice(name)[_slices(first, last, place.offset)] if place.shape else file.get_tensor(name)
    target.data[_slices(first, last, target.offset)].copy_(data)
    return data.numel()


def _slices(first: Sequence[int], last: Sequence[int], offset: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(begin - at, end - at) for begin, end, at in zip(first, last, offset, strict=True))
