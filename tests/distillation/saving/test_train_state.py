import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.distillation.optimizers import make_room, moments_of
from gpd.distillation.saving import train_state
from gpd.distillation.saving.train_state import MARKER, TrainState
from tests.distillation.clocks import look_clock
from tests.distillation.forked import together


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


def test_a_save_is_due_when_more_than_its_seconds_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second at each look, of which the first is when it begins."""
    monkeypatch.setattr(train_state, "time", look_clock())
    with TrainState(tmp_path, save_every_seconds=2) as state:
        assert [state.is_due for _ in range(4)] == [False, False, True, True]
        state.save(1, {"tensor": torch.ones(1)}, {})
        state.wait()
        assert state.stopped_seconds == 1  # from one look to the next
        assert [state.is_due for _ in range(3)] == [False, True, True]
        state.save(2, {"tensor": torch.ones(1)}, {})
        assert state.stopped_seconds == 2


def save_and_leave(folder: Path, mistake: Exception | None = None) -> None:
    """Saves iteration 3 and leaves the state, by a mistake if one is given."""
    with TrainState(folder, save_every_seconds=0) as state:
        state.save(3, {"tensor": torch.arange(4)}, {})
        if mistake:
            raise mistake


def save_and_ask(folder: Path) -> None:
    state = TrainState(folder, save_every_seconds=0)
    state.save(3, {"tensor": torch.arange(4)}, {})
    while not state.is_due:
        pass


def test_what_could_not_be_written_is_told_at_the_next_question_and_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "at-3").write_text("a file where a folder should be")
    state = TrainState(tmp_path, save_every_seconds=0)
    state.save(3, {"tensor": torch.arange(4)}, {})
    with pytest.raises(FileExistsError):
        state.save(4, {"tensor": torch.arange(4)}, {})
    for leave in (save_and_leave, save_and_ask):
        with pytest.raises(FileExistsError):
            leave(tmp_path)
    with pytest.raises(ZeroDivisionError):  # what went wrong first is told
        save_and_leave(tmp_path, ZeroDivisionError())


def test_a_state_that_is_left_is_written(tmp_path: Path) -> None:
    save_and_leave(tmp_path / "well")
    assert load(tmp_path / "well").iteration == 3
    with pytest.raises(ZeroDivisionError):
        save_and_leave(tmp_path / "ill", ZeroDivisionError())
    assert load(tmp_path / "ill").iteration == 3


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    save(tmp_path, 3)
    (tmp_path / "at-3" / "part-0-of-1.safetensors").unlink()
    with pytest.raises(UserError, match=r"at-3/part-0-of-1\.safetensors: train state is damaged"):
        load(tmp_path)


def test_all_processes_name_the_same_damaged_file_of_several(tmp_path: Path) -> None:
    """Each hashes a part of them; the first in the order of their names is told."""

    def save_part() -> None:
        with TrainState(tmp_path / "state", save_every_seconds=0) as state:
            rank = state.peers.rank
            state.save(7, {"large": torch.ones(9), "small": torch.full((2,), 5.0)}, {"rank": rank})

    def what_is_wrong() -> object:
        try:
            found = TrainState(tmp_path / "state", save_every_seconds=0).load()
        except UserError as error:
            return str(error)
        assert found is not None
        return [found.iteration, found.facts, sorted(found.places)]

    together(tmp_path / "saving", save_part, save_part, save_part)
    names = [f"part-{rank}-of-3.safetensors" for rank in range(3)]
    assert sorted(path.name for path in (tmp_path / "state/at-7").iterdir()) == names
    assert together(tmp_path / "two", what_is_wrong, what_is_wrong) == [[7, {"rank": 0}, ["large", "small"]]] * 2
    for damaged in reversed(names[1:]):
        (tmp_path / "state/at-7" / damaged).write_bytes(b"other")
        one, other = together(tmp_path / damaged, what_is_wrong, what_is_wrong)
        assert one == other
        assert f"at-7/{damaged}: train state is damaged" in one


def test_the_marker_comes_when_all_that_it_names_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[tuple[str, bool]] = []

    def flush(path: Path) -> None:
        artifacts.flush(path)
        flushed.append((path.relative_to(tmp_path).as_posix(), (tmp_path / MARKER).exists()))

    monkeypatch.setattr(train_state, "flush", flush)
    save(tmp_path, 3)
    assert flushed == [("at-3/part-0-of-1.safetensors", False), ("at-3", False)]


@pytest.mark.parametrize("shape", [(2, 2), (5,), (3,), ()])
def test_a_tensor_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save_and_leave(tmp_path)  # of four values
    with pytest.raises(UserError, match=r"state\.json: train state of another version of gpd"):
        load(tmp_path).fill({"tensor": torch.zeros(shape)})
