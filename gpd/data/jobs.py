"""Work of a DVC stage shared out over processes: each job writes one file of the finished folder.

Jobs and the bytes of their files follow from the inputs alone, so any process can do any of them. Finished files wait
in a folder of their own until all are there, then they move into place together; a stage that was stopped goes on with
the jobs that are missing.
"""

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filelock import FileLock

from gpd import artifacts
from gpd.artifacts import CHECKED_AT_ONCE, DamagedError, UserError
from gpd.documents.reading import parse_json

J = TypeVar("J", bound="Named")
M = TypeVar("M")


class Named(Protocol):
    """A job: one file of the finished folder."""

    @property
    def name(self) -> str:
        """The file's name."""


class Work:
    """Jobs that are done and those to come, in a folder that only this set of inputs and params uses.

    Attributes:
        shards: the folder of finished files.
        results: for each of them a JSON object with its size and whatever else is to be kept about it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards, self.results = folder / "shards", folder / "results"

    def result(self, job: Named) -> dict[str, Any] | None:
        """What `finish` noted of a job, "size" in bytes and "sha256". None if its file is not there or not whole."""
        path, file = self.results / f"{job.name}.json", self.shards / job.name
        if not (path.exists() and file.exists()):
            return None
        try:
            result: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
            return result if result["size"] == file.stat().st_size and result["sha256"] else None
        except (ValueError, TypeError, KeyError):  # a note cut short: the job is done again
            return None

    def missing(self, jobs: Iterable[J]) -> list[J]:
        """Those that are not done."""
        return [job for job in jobs if self.result(job) is None]

    def finish(self, job: Named, **facts: Any) -> None:
        """Notes that a job's file is whole. It comes after the file, so that a killed process leaves no half."""
        file = self.shards / job.name
        noted = {"size": file.stat().st_size, "sha256": artifacts.hash_file(file)}
        artifacts.write_json(self.results / f"{job.name}.json", {**noted, **facts})

    def check(self, jobs: Iterable[Named]) -> None:
        """Compares finished files with what was noted of them; one that differs is forgotten.

        Raises:
            DamagedError: naming the first such file.
        """
        with ThreadPoolExecutor(CHECKED_AT_ONCE) as threads:  # hashing lets other threads run
            list(threads.map(self._check, jobs))

    def _check(self, job: Named) -> None:
        noted = self.result(job)
        assert noted, "no job is missing"
        try:
            artifacts.check_file(self.shards / job.name, noted["sha256"])
        except DamagedError as error:
            (self.results / f"{job.name}.json").unlink()
            raise DamagedError(f"{str(error).partition('; ')[0]}; the same command makes it again") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process that holds it.

        Whoever waited while the work was published finds none of it left, and leaves no lock behind.
        """
        lock = self.folder.with_name(f"{self.folder.name}.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield
            if not self.folder.exists():
                lock.unlink(missing_ok=True)

    def publish(self, jobs: Iterable[Named], output: Path, describe: Callable[[Path], M]) -> M:
        """Moves the files of all jobs to `output`. Only under the lock, and when no job is missing.

        Args:
            describe: writes what belongs beside the files, the manifest last; its result is returned.
        """
        jobs = list(jobs)
        self.check(jobs)
        self.remove_leftovers({job.name for job in jobs})
        described = describe(self.shards)
        artifacts.move_into_place(self.shards, output)
        self.remove()
        return described

    def remove_leftovers(self, names: Collection[str]) -> None:
        """Partial files of processes that were killed."""
        for path in self.shards.iterdir():
            if path.name not in names:
                path.unlink()

    def remove(self) -> None:
        """Only under the lock: whoever waits for it finds nothing and leaves."""
        shutil.rmtree(self.folder)


def parse_part(shard: str) -> tuple[int, int]:
    """ "i/n" -> (i, n): process i of n.

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
