"""Laws of networks that are cut over processes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gpd.artifacts import UserError
from gpd.distillation.sharding import blocks_of, choose_mesh, outline_of, planned_bytes
from gpd.distillation.train_state import MARKER
from tests.distillation.some_processes import STOP, Ended, run
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
