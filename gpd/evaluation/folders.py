"""Which clips of two folders belong together: by file name, or none if the names differ."""

import re
from dataclasses import dataclass
from pathlib import Path

from gpd.artifacts import UserError
from gpd.data.clips import CONTAINERS, is_clip


@dataclass(frozen=True)
class Pairing:
    """Two folders' clips.

    Attributes:
        is_paired: both have the same file names. If a name is on one side only, no clip is paired: a figure over some
            pairs would be taken for one over all.
        num_shared: names on both sides.
        only_clips, only_reference: names on one side alone.
    """

    clips: list[Path]
    reference: list[Path]
    is_paired: bool
    num_shared: int
    only_clips: list[str]
    only_reference: list[str]


def pair_up(clips: Path, reference: Path) -> Pairing:
    """The clips of two folders, sorted by name.

    Raises:
        UserError: a folder is missing or has no clip.
    """
    first, second = list_clips(clips), list_clips(reference)
    names, others = {path.name for path in first}, {path.name for path in second}
    return Pairing(first, second, names == others, len(names & others), sorted(names - others), sorted(others - names))


def list_clips(folder: Path) -> list[Path]:
    """The clips that lie in a folder, sorted by name.

    Raises:
        UserError: there is no such folder, or no clip in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = sorted(path for path in folder.iterdir() if is_clip(path) and not path.name.startswith("."))
    if not found:
        raise UserError(f"{folder}: no clip in it ({', '.join(CONTAINERS)})")
    return found


def group_seeds(clips: list[Path]) -> list[list[Path]]:
    """Clips of one prompt together: NAME-0.mp4, NAME-1.mp4 or NAME-seed0.mp4, NAME-seed1.mp4."""
    groups: dict[str, list[Path]] = {}
    for path in clips:
        groups.setdefault(re.sub(r"-(seed)?\d+$", "", path.stem), []).append(path)
    return list(groups.values())
