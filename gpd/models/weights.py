"""Whether a part's weights are all there, by the headers of its safetensors files: nothing is loaded."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpd.documents.reading import parse_json

SHARD_INDEX = "*.safetensors.index.json"
LOADABLE = ("F32", "BF16", "F16")
PICKLES = (".bin", ".pth", ".pt", ".ckpt")
MAX_HEADER = 100_000_000  # bytes; the format's own limit


def find_gaps(part: Path) -> Iterator[str]:
    """What is wrong with the weights in a folder, a line for each file.

    An index names files that are not there, a file is shorter than its header says (a copy that was interrupted, a
    pointer that git LFS has left), or its numbers are of a format that is not loaded.
    """
    files = sorted(part.glob("*.safetensors"))
    named: set[str] = set()
    for index in sorted(part.glob(SHARD_INDEX)):
        named |= set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values())
        missing = sorted(name for name in named if not (part / name).is_file())
        if missing:
            yield f"{index}: names {len(named)} files, of which {len(missing)} are missing ({missing[0]}, ..)"
    if not files and not named:
        pickles = sorted(file.name for suffix in PICKLES for file in part.glob(f"*{suffix}"))
        yield f"{part}: no weights (*.safetensors)" + (f"; {pickles[0]} is a pickle, never loaded" if pickles else "")
    for file in files:
        yield from _mistakes(file)


def _mistakes(file: Path) -> Iterator[str]:
    try:
        header, size = _read_header(file)
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        needed = size + max((entry["data_offsets"][1] for entry in entries), default=0)
        formats = sorted({str(entry["dtype"]) for entry in entries} - set(LOADABLE))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        yield f"{file}: no safetensors file"
        return
    if file.stat().st_size != needed:
        yield f"{file}: {file.stat().st_size:,} bytes where its header says {needed:,}; it is not whole"
    if formats:
        yield f"{file}: numbers of the format {formats[0]}; gpd loads {', '.join(LOADABLE)}"


def _read_header(file: Path) -> tuple[dict[str, Any], int]:
    """The header, and at which byte the numbers begin."""
    with open(file, "rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        if length > MAX_HEADER:
            raise ValueError("no header")
        return parse_json(opened.read(length).decode()), 8 + length
