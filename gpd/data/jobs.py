"""Unfinished work of a stage: shards, or parts of samples, wait in a folder of their own until all are there."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.data.shards import Sample, shard_name, write_shard

Row = dict[str, str]  # a line of prompts.jsonl or clips.jsonl
Encoder = Callable[
    [list[Row]], Iterator[Sample | Row]
]  # a sample for each item, or {"file", "reason"} of a broken clip


class Named(Protocol):
    """One file of the finished folder."""

    @property
    def name(self) -> str:
        """The file's name."""


@dataclass(frozen=True)
class Job:
    """One shard: its kind, its number among its kind and what goes into it."""

    kind: str
    index: int
    rows: list[Row]

    @property
    def name(self) -> str:
        """The shard's file name."""
        return shard_name(self.kind, self.index)


class Work:
    """Shards that are done and those to come, in a folder that only this set of inputs and params uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards, self.results = folder / "shards", folder / "results"

    def result(self, job: Named) -> dict[str, Any] | None:
        """What is known of a finished job: size of its file; of a shard number of samples and broken clips, too.

        None if it is not done.
        """
        path, shard = self.results / f"{job.name}.json", self.shards / job.name
        if not (path.exists() and shard.exists()):
            return None
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return result if result["size"] == shard.stat().st_size else None

    def finish(self, job: Named, **facts: Any) -> None:
        """Says that a job's file is whole."""
        size = (self.shards / job.name).stat().st_size
        artifacts.write_json(self.results / f"{job.name}.json", {"size": size, **facts})

    def do(self, job: Job, encoder: Encoder, on_row: Callable[[], None]) -> None:
        """Writes a job's shard, then its result, which says that the shard is whole."""
        self.shards.mkdir(parents=True, exist_ok=True)
        broken: list[Row] = []

        def samples() -> Iterator[Sample]:
            for made in encoder(job.rows):
                if isinstance(made, dict):
                    broken.append(made)
                else:
                    yield made
                on_row()

        num_samples = write_shard(self.shards / job.name, samples())
        self.finish(job, num_samples=num_samples, broken=broken)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process that holds it."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with open(self.folder.with_suffix(".lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def remove_leftovers(self, names: Collection[str]) -> None:
        """Partial files of processes that were killed."""
        for path in self.shards.iterdir():
            if path.name not in names:
                path.unlink()

    def remove(self) -> None:
        """Only under the lock: whoever waits for it will find no shards and leave."""
        shutil.rmtree(self.folder)
        self.folder.with_suffix(".lock").unlink()


def parse_part(shard: str) -> tuple[int, int]:
    """ "i/n" -> (i, n).

    Raises:
        UserError: it is not of this form.
    """
    words = shard.split("/")
    if (
        len(words) != 2
        or not all(word.isascii() and word.isdigit() for word in words)
        or int(words[0]) >= int(words[1])
    ):
        raise UserError(f"--shard={shard}: expected i/n with 0 <= i < n, such as 0/2")
    return int(words[0]), int(words[1])
