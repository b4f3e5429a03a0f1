"""The rows that were measured at 480 x 832 px and 81 frames before there was a plan, and how processes share out."""

import pytest

from gpd.params import Params
from gpd.planning import remedies
from gpd.planning.base import Base, find_base
from gpd.planning.devices import DEVICES
from gpd.planning.disk import parameters
from gpd.planning.memory import micro_batches, num_processes, plan_memory, stage_memory
from gpd.planning.plan import load

PAPER = load("wan2.1-1.3b-paper")[1]
LARGE = remedies.change_model(PAPER, hub=load("wan2.1-14b")[1].model.hub)


def alone(params: Params, batch: int) -> float:
    """GB of one process without accumulation."""
    return stage_memory(params, find_base(params.model), "one", 1, batch, 1).peak / 1e9


@pytest.mark.parametrize(
    ("params", "batch", "measured"),
    [(PAPER, 1, 33.2), (PAPER, 4, 54.4), (LARGE, 1, 299.0)],
    ids=["1.3B, batch 1", "1.3B, batch 4", "14B, batch 1"],
)
def test_all_weights_trained_with_checkpointing(params: Params, batch: int, measured: float):
    in_bfloat16 = 2 * parameters(find_base(params.model)) / 1e9  # the previous student was, then; it is float32 now
    assert alone(params, batch) - in_bfloat16 == pytest.approx(measured, rel=0.06)


@pytest.mark.parametrize(("params", "measured"), [(PAPER, 11.0), (LARGE, 55.8)], ids=["1.3B", "14B"])
def test_low_rank_factors_on_one_base(params: Params, measured: float):
    """Base and activations, without the factors and their moments."""
    ranked = remedies.change_distill(params, lora_rank=remedies.RANK)
    parts = stage_memory(ranked, find_base(params.model), "one", 1, 1, 1).parts
    needed = (parts["base of all roles"] + parts["activations"]) / 1e9
    assert needed == pytest.approx(measured, rel=0.06)


def test_processes_divide_the_batch():
    assert [num_processes(batch=4, number=number) for number in (1, 2, 3, 4, 8)] == [1, 2, 2, 4, 4]
    assert micro_batches(6) == [6, 3, 2, 1]


def test_weights_are_shared_out_where_copies_do_not_fit():
    base, device = Base(find_base(LARGE.model).architecture), DEVICES["h100"]
    params = remedies.change_batch(LARGE, 8)
    assert not plan_memory(params, base, device, 1).fits(device)
    shared = plan_memory(params, base, device, 8)
    assert shared.layout == "fsdp"
    assert shared.parts["student"] == pytest.approx(4 * 14_288_491_584 / 8)


def test_a_small_device_takes_a_small_part_of_the_batch():
    params = remedies.change_distill(PAPER, lora_rank=remedies.RANK)
    memory = plan_memory(params, find_base(params.model), DEVICES["rtx4090"], 1)
    assert memory.fits(DEVICES["rtx4090"])
    assert memory.micro_batch * memory.accumulated == 4
    assert memory.accumulated > 1
