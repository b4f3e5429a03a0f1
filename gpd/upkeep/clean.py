"""`gpd clean`: frees what can be made again.

The rule: what a rerun makes again, what no living process uses, and what nobody has touched for the stated time.
Results stay always: data/, run records, results of an ablation, registry.db. DVC's cache is cleared by `dvc gc` alone.
"""

import contextlib
import os
import re
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpd.artifacts import WORK, UserError, is_leftover
from gpd.data.occupied import LOCKS, is_held, output_lock, work_lock
from gpd.upkeep.removal import remove

SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
BLOCK = 512  # bytes, in which every file system counts
GC = "dvc gc --workspace --all-commits"


@dataclass(frozen=True)
class Kind:
    """Something that may go.

    Attributes:
        find: the files and folders of this kind.
        is_used: whether a living process uses one of them.
    """

    name: str
    find: Callable[[], Iterator[Path]]
    is_used: Callable[[Path], bool]


def _folders(pattern: str) -> Callable[[], Iterator[Path]]:
    """Real ones: a link leads to another work tree's, which is cleaned there."""
    return lambda: (
        path
        for path in sorted(WORK.glob(pattern))
        if path.is_dir() and not is_leftover(path) and not any(each.is_symlink() for each in (path, path.parent))
    )


def _leftovers() -> Iterator[Path]:
    for top in (Path("data"), WORK):
        for path in sorted(top.rglob(".*")) if top.is_dir() else ():
            if is_leftover(path):
                yield path


def _any_held(pattern: str) -> bool:
    """In this work tree or in one of a flow, which shares unfinished work with it."""
    return any(is_held(lock) for folder in (LOCKS, *WORK.glob(f"flows/*/{LOCKS}")) for lock in folder.glob(pattern))


KINDS = (
    Kind("train states", _folders("distill/*"), lambda path: is_held(work_lock(path))),
    Kind("parts of encode", _folders("encode/*"), lambda _: _any_held("output-encode*")),
    Kind("parts of sample", _folders("sample/*"), lambda _: _any_held("output-sample*")),
    Kind("work trees of flows", _folders("flows/*"), lambda path: is_held(work_lock(path))),
    Kind("trees of ablation runs", _folders("ablation/run-*"), lambda _: is_held(output_lock("ablate"))),
    Kind("checkpoints out of DVC's cache", _folders("checkpoints/*"), lambda path: is_held(path.with_suffix(".lock"))),
    Kind(
        "decoded frames",
        lambda: iter(sorted((WORK / "decoded").glob("[!.]*.npy"))),
        lambda _: _any_held("output-evaluate*"),
    ),
    Kind("leftovers of dead processes", _leftovers, lambda _: False),
)


def run(older_than: str, is_sure: bool) -> None:
    """Prints what would be freed, by kind; frees it if `is_sure`.

    Raises:
        UserError: the time is none.
    """
    before = time.time() - parse_age(older_than)
    total = 0
    for kind in KINDS:
        found = [path for path in kind.find() if newest_change(path) < before]
        used = [path for path in found if kind.is_used(path)]
        doomed = [path for path in found if path not in used]
        size = sum(size_of(path) for path in doomed)
        total += size
        print(f"{kind.name:36} {len(doomed):5}  {size / 1e9:9.3f} GB" + (f"  ({len(used)} in use)" if used else ""))
        if is_sure:
            for path in doomed:
                remove(path)
    _forget_work_trees(is_sure)
    print(f"clean: {total / 1e9:.3f} GB {'freed' if is_sure else f'older than {older_than}; --yes frees it'}")
    print(f"clean: objects of DVC's cache that no commit names stay; `{GC}` removes them")


def parse_age(text: str) -> float:
    """Seconds of "7d", "12h", "30m" or "2w".

    Raises:
        UserError: it is of another form.
    """
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if match is None:
        raise UserError(f"clean --older-than={text!r:.40}: expected a number and m, h, d or w, such as 7d")
    return int(match[1]) * SECONDS[match[2]]


def newest_change(path: Path) -> float:
    """When something in it was changed last, in seconds since 1970; links are not followed."""
    return max((found.st_mtime for found in _looked_up(path)), default=0.0)


def size_of(path: Path) -> int:
    """Bytes on the disk that removing it frees: a file with another name elsewhere stays there."""
    return sum(each.st_blocks * BLOCK for each in _looked_up(path) if each.st_nlink == 1 or stat.S_ISDIR(each.st_mode))


def _looked_up(path: Path) -> Iterator[os.stat_result]:
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    for each in (path, *inside):
        with contextlib.suppress(FileNotFoundError):  # whoever made it removes it meanwhile
            yield each.lstat()


def _forget_work_trees(is_sure: bool) -> None:
    """git keeps a note of each of its work trees."""
    if is_sure and (WORK / "flows").is_dir():
        subprocess.run(["git", "worktree", "prune"], capture_output=True)
