"""DVC's cache as files: `files/md5/ab/cdef..` holds what has the MD5 abcdef.., a folder as a JSON list of its files.

The layout is DVC's documented one (dvc.org/doc/user-guide/project-structure/internal-files). We read and write it
ourselves, because `dvc checkout` goes by time stamps where it can: a file that was damaged under its old one counts as
up to date, and an object of the cache is linked into the work tree without a look at its bytes. What is a matter of
settings, the cache's place and remotes, is left to the `dvc` command.
"""

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from gpd.documents.inside import path_inside
from gpd.documents.reading import parse_json

FOLDER = ".dir"  # ends the MD5 of a folder


def digests_of(path: Path, algorithms: set[str]) -> dict[str, str]:
    """Several digests of a file in one pass over it."""
    made = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(algorithms)}
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            for each in made.values():
                each.update(block)
    return {name: each.hexdigest() for name, each in made.items()}


class Cache:
    """The cache of the repository that is the working directory."""

    @cached_property
    def folder(self) -> Path:
        """Where it lies."""
        found = _dvc("cache", "dir")
        return Path(found.strip() if found else ".dvc/cache")

    def place(self, md5: str) -> Path:
        """Where what has this MD5 would lie."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def is_whole(self, md5: str) -> bool:
        """Whether it is there and has the MD5 that its name says."""
        place = self.place(md5)
        return place.is_file() and digests_of(place, {"md5"})["md5"] == md5.removesuffix(FOLDER)

    def drop_damaged(self, md5: str) -> bool:
        """Removes it if its bytes are other ones: DVC would hand it out again. Returns whether it was so."""
        if not self.place(md5).is_file() or self.is_whole(md5):
            return False
        self.place(md5).unlink()
        return True

    def listing(self, md5: str) -> dict[str, str]:
        """A folder's files by their MD5; nothing if its list is not here or damaged."""
        if not self.is_whole(md5):
            return {}
        entries: list[dict[str, Any]] = parse_json(self.place(md5).read_text(encoding="utf-8"))
        return {
            path_inside(Path("folder"), entry["relpath"]).relative_to("folder").as_posix(): entry["md5"]
            for entry in entries
        }

    @cached_property
    def has_remote(self) -> bool:
        """Whether DVC knows another place to fetch from."""
        return bool((_dvc("remote", "list") or "").strip())

    def fetch(self, outputs: Sequence[str]) -> None:
        """Brings what the cache lacks of these outputs from the remote, as far as the remote has it."""
        if self.has_remote and outputs:
            _dvc("fetch", "--quiet", "--", *outputs)


def _dvc(*words: str) -> str | None:
    """What the command prints; None if it failed or DVC is not installed."""
    if shutil.which("dvc") is None:
        return None
    with contextlib.suppress(OSError):
        done = subprocess.run(["dvc", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.stdout if done.returncode == 0 else None
    return None
