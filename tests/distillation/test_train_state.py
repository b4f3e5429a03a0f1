import json
from pathlib import Path

import pytest
import torch

from gpd.artifacts import UserError
from gpd.distillation.train_state import MARKER, TrainState


def trained(num_steps: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for _ in range(num_steps):
        optimizer.zero_grad()
        module(torch.ones(2, 4)).square().sum().backward()
        optimizer.step()
    return module, optimizer


def save(folder: Path, iteration: int) -> TrainState:
    module, optimizer = trained(iteration)
    state = TrainState(folder, save_every_seconds=0)
    groups = {"student": module.state_dict(), "pool": {"index": torch.full((2,), float(iteration))}}
    state.commit(iteration, groups, optimizer, {"forwards": {"teacher": 7}})
    return state


def test_training_goes_on_exactly_where_it_stood(tmp_path: Path) -> None:
    saved = save(tmp_path, 3).load()
    assert saved is not None
    assert (saved.iteration, saved.facts) == (3, {"forwards": {"teacher": 7}})
    assert saved.tensors["pool"]["index"].tolist() == [3, 3]
    module, optimizer = trained(0)
    module.load_state_dict(saved.tensors["student"])
    optimizer.load_state_dict(saved.optimizer)
    optimizer.zero_grad()
    module(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), trained(4)[0].parameters(), strict=True))


def test_nothing_saved_is_nothing_loaded(tmp_path: Path) -> None:
    assert TrainState(tmp_path, save_every_seconds=0).load() is None


def test_a_write_that_was_cut_short_leaves_the_older_state_current(tmp_path: Path) -> None:
    state = save(tmp_path, 3)
    (tmp_path / "at-9").mkdir()  # killed in `commit`
    (tmp_path / "at-9" / "student.safetensors").write_bytes(b"half")
    saved = state.load()
    assert saved is not None
    assert saved.iteration == 3


def test_a_newer_state_replaces_the_older(tmp_path: Path) -> None:
    save(tmp_path, 3)
    saved = save(tmp_path, 5).load()
    assert saved is not None
    assert saved.iteration == 5
    assert [path.name for path in tmp_path.glob("at-*")] == ["at-5"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    state = save(tmp_path, 3)
    file = tmp_path / "at-3" / "student.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(UserError, match=r"at-3/student\.safetensors: train state is damaged"):
        state.load()


def test_the_marker_is_json(tmp_path: Path) -> None:
    save(tmp_path, 3)
    assert set(json.loads((tmp_path / MARKER).read_text())["files"]) == {
        "student.safetensors",
        "optimizer.safetensors",
        "pool.safetensors",
    }
