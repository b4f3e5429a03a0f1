"""What one process trains, two train as well: forked here, where nothing is imported again, so in a second."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from gpd.artifacts import UserError
from gpd.distillation.stage import Stage
from gpd.distillation.trainer import make_accelerator, train_stage
from gpd.distillation.training import begin
from tests.distillation.forked import together
from tests.distillation.test_trainer import make_stage, weights

MIXED: dict[str, Any] = {"states": {"stream": 0.75, "clips": 0.25}, "probe": {"num_states": 3}}


def processes(number: int, work: Callable[[Accelerator], object]) -> list[Callable[[], object]]:
    """The work on each of so many processes that torchrun might have started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def process(rank: int) -> Callable[[], object]:
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": number,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }

        def begun() -> object:
            AcceleratorState._reset_state(reset_partial_state=True)
            os.environ.update({name: str(value) for name, value in place.items()})
            return work(make_accelerator("float32"))

        return begun

    return [process(rank) for rank in range(number)]


def ended(stage: Stage, accelerator: Accelerator) -> dict[str, Any]:
    published, ledger = train_stage(stage, accelerator)
    return {"weights": weights(published).tolist(), "ledger": ledger.model_dump()}


@pytest.mark.parametrize("at_once", ["", "2"])
def test_two_processes_learn_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: str) -> None:
    monkeypatch.setenv("GPD_MICRO_BATCH", at_once)
    alone = ended(make_stage(tmp_path / "alone", 5, 2, 6, **MIXED), Accelerator(cpu=True))
    stage = make_stage(tmp_path / "two", 5, 2, 6, **MIXED)

    def work(accelerator: Accelerator) -> object:
        return [torch.get_num_threads(), accelerator.num_processes, ended(stage, accelerator)]

    (threads, number, one), other = together(tmp_path / "group", *processes(2, work))
    assert other == [threads, number, one]
    assert (threads, number) == (1, 2)
    assert torch.tensor(one["weights"]).allclose(torch.tensor(alone["weights"]), atol=1e-6)
    assert one["ledger"]["losses"] == pytest.approx(alone["ledger"]["losses"], rel=1e-5)
    assert one["ledger"]["forwards"] == alone["ledger"]["forwards"]
    assert one["ledger"]["samples_seen"] == 6 * 6


def test_the_main_process_says_whether_all_save(tmp_path: Path) -> None:
    """And figures are their means."""
    training = begin(make_stage(tmp_path), Accelerator(cpu=True))
    rows = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])]
    for is_due in (False, True):
        training.unread = list(rows)
        assert training.read_figures(is_due) == ([[1.0, 2.0], [3.0, 4.0]], is_due)
        assert training.unread == []

    def work(accelerator: Accelerator) -> object:
        training = begin(make_stage(tmp_path), accelerator)
        told = []
        for due_in in (-1, 0, 1):
            training.unread = [row + 2 * training.share.index for row in rows]
            told.append(training.read_figures(training.share.index == due_in))
        return told

    means = [[2.0, 3.0], [4.0, 5.0]]
    told = [[means, False], [means, True], [means, False]]  # the other process' clock does not count
    assert together(tmp_path / "group", *processes(2, work)) == [told, told]


def test_processes_that_do_not_divide_the_batch_are_refused(tmp_path: Path) -> None:
    def work(accelerator: Accelerator) -> object:
        try:
            begin(make_stage(tmp_path), accelerator)
        except UserError as error:
            return str(error)
        return None

    lines = together(tmp_path / "group", *processes(4, work))
    assert lines == ["params.yaml: distill.stages.k1.batch=6 on 4 processes: they do not divide it"] * 4
