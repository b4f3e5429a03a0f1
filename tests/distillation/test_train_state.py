import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from gpd.artifacts import UserError
from gpd.distillation.optimizers import make_room, moments_of
from gpd.distillation.train_state import MARKER, TrainState


class Small:
    """A linear layer that learns, with its optimiser."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = torch.nn.Linear(4, 3)
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=0.1)

    def train(self, num_steps: int) -> "Small":
        for _ in range(num_steps):
            self.optimizer.zero_grad()
            self.module(torch.ones(2, 4)).square().sum().backward()
            self.optimizer.step()
        return self

    def tensors(self) -> dict[str, torch.Tensor]:
        moments = {f"optimizer.{name}": value for name, value in moments_of(self.optimizer).items()}
        return {**self.module.state_dict(), **moments}


def save(folder: Path, iteration: int) -> None:
    with TrainState(folder, save_every_seconds=1) as state:
        state.save(iteration, Small().train(iteration).tensors(), {"forwards": {"teacher": 7}})


def load(folder: Path) -> Any:
    with TrainState(folder, save_every_seconds=1) as state:
        return state.load()


def test_training_goes_on_exactly_where_it_stood(tmp_path: Path) -> None:
    save(tmp_path, 3)
    saved, small = load(tmp_path), Small()
    assert (saved.iteration, saved.facts) == (3, {"forwards": {"teacher": 7}})
    make_room(small.optimizer)
    saved.fill(small.tensors())
    expected = Small().train(4).tensors()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in small.train(1).tensors().items())


def test_nothing_saved_is_nothing_loaded(tmp_path: Path) -> None:
    assert load(tmp_path) is None


def test_a_write_that_was_cut_short_leaves_the_older_state_current(tmp_path: Path) -> None:
    save(tmp_path, 3)
    (tmp_path / "at-9").mkdir()
    (tmp_path / "at-9" / "part-0-of-1.safetensors").write_bytes(b"half")  # killed before the marker
    assert load(tmp_path).iteration == 3


def test_a_newer_state_replaces_the_older(tmp_path: Path) -> None:
    save(tmp_path, 3)
    save(tmp_path, 5)
    assert load(tmp_path).iteration == 5
    assert [path.name for path in tmp_path.glob("at-*")] == ["at-5"]


def test_what_changes_while_it_is_written_is_saved_as_it_was(tmp_path: Path) -> None:
    """The writing takes its time; until it is done no save is due, and the older state is current."""
    save(tmp_path, 3)
    go_on, tensor = threading.Event(), torch.ones(3)
    with TrainState(tmp_path, save_every_seconds=0) as state:
        state.thread.submit(go_on.wait, 60)
        state.save(5, {"tensor": tensor}, {})
        tensor.zero_()
        assert not state.is_due
        assert load(tmp_path).iteration == 3
        go_on.set()
        state.wait()
        assert state.is_due
    load(tmp_path).fill({"tensor": tensor})
    assert tensor.tolist() == [1, 1, 1]


def test_a_save_that_fails_ends_the_training(tmp_path: Path) -> None:
    (tmp_path / "at-3").write_text("a file where a folder should be")
    state = TrainState(tmp_path, save_every_seconds=0)
    state.save(3, {"tensor": torch.ones(3)}, {})
    with pytest.raises(FileExistsError):
        state.wait()


@pytest.mark.parametrize("keep", [-9, 0])
def test_a_damaged_file_is_named(tmp_path: Path, keep: int) -> None:
    save(tmp_path, 3)
    file = tmp_path / "at-3" / "part-0-of-1.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"at-3/part-0-of-1\.safetensors: train state is damaged; delete .* anew$"):
        load(tmp_path)


def test_an_edited_counter_is_seen(tmp_path: Path) -> None:
    save(tmp_path, 3)
    marker = json.loads((tmp_path / MARKER).read_text())
    (tmp_path / MARKER).write_text(json.dumps({**marker, "iteration": 2}))
    with pytest.raises(UserError, match=r"state\.json: train state is damaged"):
        load(tmp_path)


def test_a_tensor_that_was_not_saved_is_named(tmp_path: Path) -> None:
    save(tmp_path, 3)
    with pytest.raises(UserError, match=r"another version of gpd .*pool: 0 of 2 values"):
        load(tmp_path).fill({"pool": torch.ones(2)})
