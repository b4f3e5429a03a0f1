"""Laws of networks that are cut over processes."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from gpd.artifacts import UserError
from gpd.distillation.networks import _planned_bytes, load_networks
from gpd.distillation.processes.sharding import (
    blocks_of,
    choose_mesh,
    gather,
    memory_bytes,
    outline_of,
    plain,
    planned_bytes,
    shard,
    shard_like,
)
from gpd.distillation.saving.train_state import MARKER
from gpd.distillation.trainer import train_stage
from gpd.params import Params
from tests.distillation.forked import together
from tests.distillation.some_processes import STOP, Ended, run, some_stage
from tests.distillation.test_processes import distance
from tests.toy import BlockNetwork


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What one process ends with."""
    return run(1, tmp_path_factory.mktemp("alone"), "previous")[0]["previous"]


@pytest.mark.parametrize("number", [2, 4])
def test_cut_networks_learn_what_whole_ones_do(alone: Ended, tmp_path: Path, number: int) -> None:
    ended = run(number, tmp_path, "previous", sharding="full")[0]["previous"]
    assert distance(alone, ended) < 1e-6
    assert list(ended["strip"]) == list(alone["strip"]) == ["0", "8", "16", "20", "teacher"]
    for name, ends in alone["strip"].items():
        assert np.allclose(ended["strip"][name], ends, atol=1e-5)


@pytest.mark.parametrize(("before", "after"), [((2, "full"), (1, "none")), ((1, "none"), (2, "full"))])
def test_cut_and_whole_networks_go_on_from_each_other(
    alone: Ended, tmp_path: Path, before: tuple[int, str], after: tuple[int, str]
) -> None:
    assert run(before[0], tmp_path, "previous", stop=STOP, sharding=before[1]) == []
    assert 1 <= json.loads((tmp_path / "previous" / MARKER).read_text())["iteration"] < STOP
    resumed = run(after[0], tmp_path, "previous", sharding=after[1])[0]["previous"]
    assert distance(alone, resumed) < 1e-6


def test_a_process_alone_cuts_nothing() -> None:
    assert choose_mesh(torch.device("cpu"), 0, {"GPD_SHARDING": "full"}) is None


def test_another_word_is_refused() -> None:
    with pytest.raises(UserError, match=r"^GPD_SHARDING='half' must be one of: full, none$"):
        choose_mesh(torch.device("cpu"), 0, {"GPD_SHARDING": "half"})


def test_the_sizes_of_wan() -> None:
    """With a previous student more than four 80 GB devices hold; of 1.42e9 without one less than half of one."""
    assert planned_bytes(14_288_491_584, has_average=True, frozen_bytes=2 + 4) == 371_500_781_184
    assert planned_bytes(1_418_996_800, has_average=False, frozen_bytes=2) == 25_541_942_400


def test_an_outline_has_names_and_shapes_but_no_values() -> None:
    network = BlockNetwork()
    outline = outline_of(network)
    shapes = {name: weight.shape for name, weight in network.named_parameters()}
    assert {name: weight.shape for name, weight in outline.named_parameters()} == shapes
    assert all(weight.is_meta for weight in outline.parameters())
    assert len(blocks_of(outline)) == 2


@pytest.mark.parametrize(("word", "is_cut"), [("full", True), (" full ", True), ("none", False), ("", False)])
def test_several_processes_cut_on_a_cpu_if_they_are_told(tmp_path: Path, word: str, is_cut: bool) -> None:
    """By itself it saves nothing there: they share one memory."""

    def work() -> object:
        mesh = choose_mesh(torch.device("cpu"), 10**18, {"GPD_SHARDING": word})
        return mesh is not None and [mesh.device_type, mesh.size()]

    assert together(tmp_path, work, work) == [["cpu", 2] if is_cut else False] * 2


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[DeviceMesh]:
    """Of this process alone, so that networks are cut into one piece each by all that cuts them into several."""
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def values(network: nn.Module) -> torch.Tensor:
    return torch.cat([plain(weight).detach().flatten() for weight in network.parameters()])


def test_a_network_is_cut_copied_and_brought_together_again(mesh: DeviceMesh) -> None:
    network, whole, cpu = BlockNetwork(), BlockNetwork(), torch.device("cpu")
    network.register_buffer("shift", torch.tensor([3.0]))
    outline, copied = outline_of(network), outline_of(network)
    shard(network, mesh)
    assert all(isinstance(weight, DTensor) for weight in network.parameters())
    shard_like(copied, network, mesh, cpu)
    assert torch.equal(values(copied), values(whole))
    assert copied.shift == 3
    with torch.no_grad():
        network(torch.ones(1, 2, 2, 4, 4), torch.tensor([500]), torch.ones(1, 1, 1))
    assert not any(isinstance(weight, nn.Parameter) and weight.is_meta for weight in network.parameters())
    assert gather(network, outline, is_main=False) is outline
    assert all(weight.is_meta for weight in outline.parameters())
    found = gather(network, outline, is_main=True)
    assert not any(isinstance(weight, DTensor) for weight in found.parameters())
    assert all(torch.equal(one, other) for one, other in zip(found.parameters(), whole.parameters(), strict=True))


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_what_is_cut_into_one_piece_learns_what_the_whole_does(
    tmp_path: Path, mesh: DeviceMesh, ema_decay: float
) -> None:
    """And goes on from where it stopped; a network without clips walks, so that calls are agreed on."""

    def train(folder: str, is_cut: bool, iterations: int = 4) -> tuple[nn.Module, object]:
        stage = some_stage(tmp_path / folder, "previous")
        params = stage.params.model_copy(update={"iterations": iterations})
        distill = stage.distill.model_copy(update={"ema_decay": ema_decay, "save_every_seconds": 0})
        stage = dataclasses.replace(stage, params=params, distill=distill, mesh=mesh if is_cut else None)
        if is_cut and stage.previous is not None:
            shard(stage.previous, mesh)
        return train_stage(stage, Accelerator(cpu=True))

    whole, ledger = train("whole", is_cut=False)
    cut, same_ledger = train("cut", is_cut=True)
    assert not any(isinstance(weight, DTensor) for weight in cut.parameters())
    assert (values(whole) - values(cut)).norm() < 1e-6 * values(whole).norm()
    assert same_ledger.losses == pytest.approx(ledger.losses, rel=1e-5)  # type: ignore[attr-defined]
    assert (tmp_path / "cut/previous" / MARKER).is_file()
    if not ema_decay:
        return
    again, _ = train("cut", is_cut=True)  # from a state of cut networks
    assert (values(whole) - values(again)).norm() < 1e-6 * values(whole).norm()
    other, _ = train("cut", is_cut=False)  # which whole ones read as well
    assert (values(whole) - values(other)).norm() < 1e-6 * values(whole).norm()


CUTTING: dict[str, str] = {"GPD_SHARDING": "full"}


def with_(params: Params, **changes: Any) -> Params:
    return params.model_copy(update={"distill": params.distill.model_copy(update=changes)})


def test_networks_that_are_cut_and_those_that_cannot_be(workspace: Params, tmp_path: Path) -> None:
    """Each of two processes has half of each weight; nobody leaves a block out, and factors stay whole."""
    factors = workspace.distill.stages["k4"].model_copy(update={"previous": workspace.model.path, "tail": 4})
    skipping = workspace.distill.guidance.model_copy(update={"skip_block": 1})
    asked = {
        "plain": with_(workspace),
        "skipping": with_(workspace, guidance=skipping),
        "factors": with_(workspace, lora_rank=2, stages={"k4": factors}),
    }

    def work() -> object:
        os.environ.update(CUTTING)
        found: dict[str, object] = {}
        for name, params in asked.items():
            try:
                networks = load_networks(params, "k4", torch.device("cpu"), has_previous=True)
            except UserError as error:
                found[name] = str(error)
            else:
                frozen = [plain(next(one.parameters())) is next(one.parameters()) for one in networks[:3]]
                found[name] = [frozen, networks.mesh is not None]
        return found

    one, other = together(tmp_path / "group", work, work)
    assert one == other
    assert one["plain"] == [[True, False, False], True]  # the student is whole yet
    assert one["skipping"].startswith(
        "params.yaml: distill.guidance.skip_block=1 must be null for networks that are cut"
    )
    assert one["factors"].startswith("GPD_SHARDING=full: with distill.lora_rank=2 all roles share weights")


def test_networks_are_frozen_and_only_the_student_may_recompute(workspace: Params) -> None:
    model = workspace.model.model_copy(update={"gradient_checkpointing": True})
    params = workspace.model_copy(update={"model": model})
    networks = load_networks(params, "k4", torch.device("cpu"), has_previous=True)
    assert not any(weight.requires_grad for network in networks[:3] for weight in network.parameters())  # type: ignore[union-attr]
    recompute = [network.transformer.is_gradient_checkpointing for network in networks[:3]]  # type: ignore[union-attr]
    assert recompute == [True, False, False]
    assert not torch.equal(values(networks.teacher), values(networks.student))
    assert torch.equal(values(networks.previous), values(networks.student))  # type: ignore[arg-type]
    assert load_networks(params, "k4", torch.device("cpu"), has_previous=False).previous is None


@pytest.mark.parametrize(
    ("ema_decay", "formats", "of_a_weight"),
    [(0.9, ["float32"], 16 + 4 + 4), (0.9, ["float32", "float32"], 16 + 4 + 8), (0.0, ["float32"], 16 + 4)],
)
def test_what_a_stage_keeps_by_hand(miniature: Params, ema_decay: float, formats: list[str], of_a_weight: int) -> None:
    student = BlockNetwork()  # of 3 x 32 + 32, 32 x 2 + 2 and 2 x (4 x 4 + 4) weights
    planned = _planned_bytes(with_(miniature, ema_decay=ema_decay), student, formats, torch.device("cpu"))
    assert planned == (128 + 66 + 40) * of_a_weight


def test_a_cpu_has_room_for_everything() -> None:
    assert memory_bytes(torch.device("cpu")) == float("inf")
