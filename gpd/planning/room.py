"""Whether the disk has room for what a stage is going to write."""

import os
import shutil
from collections import defaultdict
from pathlib import Path

from gpd.artifacts import WORK, UserError
from gpd.params import Params
from gpd.planning.base import find_base
from gpd.planning.disk import stage_disk
from gpd.planning.work import find_material

TOLD_FROM = 1e9  # bytes: less is not worth a line


def check_room(params: Params, name: str) -> None:
    """Says what DVC stage `name` is going to write, and stops it before it begins if a file system has not the room.

    What an interrupted run of the stage has left counts as written. DVC's copy in its cache is not counted.

    Raises:
        UserError: naming the folder, what is needed and what is free.
    """
    try:
        needed = stage_disk(params, find_base(params.model), find_material(), name)
    except UserError:
        return  # what is missing or wrong the stage says itself
    needed[WORK] = needed.get(WORK, 0.0) - _left(name)
    by_device: dict[int, dict[Path, float]] = defaultdict(dict)
    for folder, size in needed.items():
        by_device[_existing(folder).stat().st_dev][folder] = max(size, 0.0)
    for folders in by_device.values():
        folder, size = next(iter(folders)), sum(folders.values())
        free = shutil.disk_usage(_existing(folder)).free
        if size > free:
            raise UserError(
                f"{name}: writes about {size / 1e9:.1f} GB below {', '.join(map(str, folders))}, where "
                f"{free / 1e9:.1f} GB are free; `gpd clean --older-than 7d` says what could go"
            )
        if size >= TOLD_FROM:
            print(f"{name}: writes about {size / 1e9:.1f} GB; {free / 1e9:.1f} GB are free", flush=True)


def _existing(folder: Path) -> Path:
    """The folder, or the next one above it that is there."""
    folder = folder.absolute()
    return next(above for above in (folder, *folder.parents) if above.exists())


def _left(name: str) -> float:
    """Bytes of the stage's unfinished work."""
    stage, _, item = name.partition("@")
    files = (file for folder in (WORK / stage).glob(f"{item}*") for file in folder.rglob("*") if file.is_file())
    return float(sum(os.lstat(file).st_size for file in files))
