"""Train state on disk: all that resuming needs, written beside the loop, and current only when it is complete."""

import json
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from gpd.artifacts import UserError, flush, hash_file, hash_json, write_text
from gpd.distillation.processes.peers import Peers
from gpd.distillation.saving import pieces
from gpd.distillation.saving.host_copies import HostCopies
from gpd.documents import FORMAT, Document, load_document

MARKER = "state.json"


class Marker(Document):
    """state.json: the folder of the current state, and what of the state is no tensor.

    Attributes:
        tag: the folder's name.
        files: SHA-256 of each of its files, one a process.
        facts: given to `save`.
        digest: SHA-256 of all of the above.
    """

    format: int = FORMAT
    iteration: int
    tag: str
    files: dict[str, str]
    facts: dict[str, Any]
    digest: str = ""

    def sealed(self) -> "Marker":
        """With its digest."""
        return self.model_copy(update={"digest": hash_json(self.model_dump(exclude={"digest"}))})


class Saved(NamedTuple):
    """What `TrainState.load` found.

    Attributes:
        iteration: the next one to do.
        facts: the JSON value given to `save`.
        places: of the tensors' pieces, by name.
        folder: of the train state.
    """

    iteration: int
    facts: dict[str, Any]
    places: dict[str, list[pieces.Place]]
    folder: Path

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies the saved values into these tensors; of a sharded one into the shard that lies here.

        Raises:
            UserError: one of them was not saved, or has another shape.
        """
        try:
            pieces.fill(tensors, self.places)
        except (KeyError, ValueError) as error:
            raise UserError(
                f"{self.folder / MARKER}: train state of another version of gpd ({error}); "
                f"delete {self.folder} to start the stage anew"
            ) from None


class TrainState:
    """One train state in `folder`; a new one replaces the old when its marker is written, the last step of all.

    The loop waits only while its tensors are copied; a thread writes the copies, each process a file of its own. When
    all processes have written theirs, the main one writes the marker. A save is not due while the one before is still
    being written. Leaving the state as a context waits for that.
    """

    def __init__(self, folder: Path, *, save_every_seconds: float) -> None:
        self.folder = folder
        self.save_every_seconds = save_every_seconds
        self.last_save = time.monotonic()
        self.stopped_seconds = 0.0  # how long saves have stopped the loop
        self.peers, self.copies = Peers(), HostCopies()
        self.thread = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.thread.shutdown()
        if error is None:
            self.wait()

    @property
    def is_due(self) -> bool:
        """Whether the last save is long enough ago, and written.

        Raises:
            OSError: it could not be written.
        """
        if self.writing is not None and not self.writing.done():
            return False
        self.wait()
        return time.monotonic() - self.last_save > self.save_every_seconds

    def wait(self) -> None:
        """Returns when the last save is written; raises what went wrong with it."""
        writing, self.writing = self.writing, None
        if writing is not None:
            writing.result()

    def load(self) -> Saved | None:
        """The last complete state, or None.

        Raises:
            UserError: a file of it is missing or was changed.
        """
        marker = self.folder / MARKER
        if not marker.exists():
            return None
        state = load_document(Marker, marker, advice=f"delete {self.folder} to start the stage anew")
        if state != state.sealed():
            raise self._damaged(marker)
        self._verify(state)
        places = pieces.find_pieces([self.folder / state.tag / name for name in state.files])
        return Saved(state.iteration, state.facts, places, self.folder)

    def _verify(self, state: Marker) -> None:
        """Hashes the files, each process its share, as they are large; all raise the same error."""
        files = sorted(state.files.items())
        first_damaged = len(files)
        for number in reversed(range(self.peers.rank, len(files), self.peers.number)):
            path, digest = self.folder / state.tag / files[number][0], files[number][1]
            if not path.is_file() or hash_file(path) != digest:
                first_damaged = number
        first_damaged = int(min(self.peers.gather(torch.tensor(first_damaged))))
        if first_damaged < len(files):
            raise self._damaged(self.folder / state.tag / files[first_damaged][0])

    def _damaged(self, path: Path) -> UserError:
        return UserError(f"{path}: train state is damaged; delete {self.folder} to start the stage anew")

    def save(self, iteration: int, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> None:
        """Copies all of it and has it written; every process calls it at the same iteration."""
        self.last_save = time.monotonic()
        self.wait()
        mine = self.copies.take(pieces.pieces_to_write(tensors, self.peers.rank, self.peers.number))
        state = Marker(iteration=iteration, tag=f"at-{iteration}", files={}, facts=facts)
        self.writing = self.thread.submit(self._write, state, mine)
        self.stopped_seconds += time.monotonic() - self.last_save

    def _write(self, state: Marker, mine: Mapping[str, pieces.Piece]) -> None:
        folder = self.folder / state.tag
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"part-{rank}-of-{self.peers.number}.safetensors" for rank in range(self.peers.number)]
        path = folder / names[self.peers.rank]
        pieces.write_pieces(path, mine)
        flush(path)
        digest = torch.frombuffer(bytearray.fromhex(hash_file(path)), dtype=torch.uint8)
        digests = [bytes(each.tolist()).hex() for each in self.peers.gather(digest)]
        if self.peers.rank == 0:
            self._publish(state.model_copy(update={"files": dict(zip(names, digests, strict=True))}).sealed())

    def _publish(self, state: Marker) -> None:
        flush(self.folder / state.tag)
        write_text(self.folder / MARKER, json.dumps(state.model_dump()))
        for old in self.folder.glob("at-*"):
            if old.name != state.tag:
                shutil.rmtree(old)
