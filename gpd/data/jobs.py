"""Unfinished work of `encode`: shards wait in a folder of their own until all are there."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpd import artifacts
from gpd.data.shards import Sample, shard_name, write_shard

Row = dict[str, str]  # a line of prompts.jsonl or clips.jsonl
Encoder = Callable[
    [list[Row]], Iterator[Sample | Row]
]  # a sample for each item, or {"file", "reason"} of a broken clip


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

    def result(self, job: Job) -> dict[str, Any] | None:
        """What is known of a finished job: size of its shard, number of samples, broken clips. None if not done."""
        path, shard = self.results / f"{job.name}.json", self.shards / job.name
        if not (path.exists() and shard.exists()):
            return None
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return result if result["size"] == shard.stat().st_size else None

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
        result = {"size": (self.shards / job.name).stat().st_size, "num_samples": num_samples, "broken": broken}
        artifacts.write_json(self.results / f"{job.name}.json", result)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process that holds it."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with open(self.folder.with_suffix(".lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def remove(self) -> None:
        """Only under the lock: whoever waits for it will find no shards and leave."""
        shutil.rmtree(self.folder)
        self.folder.with_suffix(".lock").unlink()
