"""Train state on disk: all that resuming needs, in safetensors and JSON, written whole or not at all."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gpd.artifacts import UserError, hash_file
from gpd.documents import FORMAT, Document, load_document

MARKER = "state.json"


class Marker(Document):
    """state.json: the folder of the current state, and what of the state is no tensor.

    Attributes:
        tag: the folder's name.
        files: SHA-256 of each of its files.
        param_groups: of each optimiser, as its `state_dict` has them.
        facts: given to `commit`.
    """

    format: int = FORMAT
    iteration: int
    tag: str
    files: dict[str, str]
    param_groups: list[dict[str, Any]]
    facts: dict[str, Any]


class Saved(NamedTuple):
    """What `TrainState.load` found.

    Attributes:
        iteration: the next one to do.
        tensors: group -> name -> tensor, as given to `save`.
        optimizer: for `Optimizer.load_state_dict`.
        facts: the JSON value given to `save`.
    """

    iteration: int
    tensors: dict[str, dict[str, Tensor]]
    optimizer: dict[str, Any]
    facts: dict[str, Any]


class TrainState:
    """One train state in `folder`; a new one replaces the old when its marker is written, the last step of all.

    All processes read it and the main one writes it; nothing in it is one process' own.
    """

    def __init__(self, folder: Path, *, save_every_seconds: float) -> None:
        self.folder = folder
        self.save_every_seconds = save_every_seconds
        self.last_save = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last save is long enough ago."""
        return time.monotonic() - self.last_save > self.save_every_seconds

    def load(self) -> Saved | None:
        """The last complete state, or None.

        Raises:
            UserError: a file of it is missing or was changed.
        """
        marker = self.folder / MARKER
        if not marker.exists():
            return None
        state = load_document(Marker, marker, advice=f"delete {self.folder} to start the stage anew")
        folder = self.folder / state.tag
        for name, digest in state.files.items():
            if not (folder / name).is_file() or hash_file(folder / name) != digest:
                raise UserError(
                    f"{folder / name}: train state is damaged; delete {self.folder} to start the stage anew"
                )
        groups = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
        optimizer = {"state": _unflatten(groups.pop("optimizer", {})), "param_groups": state.param_groups}
        return Saved(state.iteration, groups, optimizer, state.facts)

    def commit(
        self,
        iteration: int,
        groups: dict[str, dict[str, Tensor]],
        optimizer: torch.optim.Optimizer,
        facts: dict[str, Any],
    ) -> None:
        """Writes the groups and the optimiser, then the marker that makes the state the current one."""
        folder = self.folder / f"at-{iteration}"
        folder.mkdir(parents=True, exist_ok=True)
        state = optimizer.state_dict()
        for name, tensors in {**groups, "optimizer": _flatten(state["state"])}.items():
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / f"{name}.safetensors")
        marker = Marker(
            iteration=iteration,
            tag=folder.name,
            files={path.name: hash_file(path) for path in sorted(folder.iterdir())},
            param_groups=state["param_groups"],
            facts=facts,
        )
        partial = self.folder / f"{MARKER}.partial"
        partial.write_text(json.dumps(marker.model_dump()), encoding="utf-8")
        os.replace(partial, self.folder / MARKER)
        for old in self.folder.glob("at-*"):
            if old != folder:
                shutil.rmtree(old)
        self.last_save = time.monotonic()


def _flatten(state: dict[int, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{index}.{field}": value for index, entry in state.items() for field, value in entry.items()}


def _unflatten(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, field = key.partition(".")
        state.setdefault(int(index), {})[field] = tensor
    return state
