"""Laws of training on several processes: real ones, of torchrun's, on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from tests.distillation.some_processes import stages, train

SCRIPT = Path(__file__).with_name("some_processes.py")


def run(number: int, folder: Path, *words: str) -> list[dict[str, Any]]:
    """What each of so many processes ended with; none if they stopped."""
    folder.mkdir(exist_ok=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([*launcher, SCRIPT, folder, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(path.read_text()) for path in sorted(folder.glob("ended-*.json"))]


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative difference of weights, losses and probed figures."""

    def figures(ended: dict[str, Any]) -> list[torch.Tensor]:
        ledger = ended["ledger"]
        probed = [*ledger["before"].values(), *ledger["after"].values()]
        return [torch.tensor(values, dtype=torch.float64) for values in (ended["weights"], ledger["losses"], probed)]

    pairs = zip(figures(one), figures(other), strict=True)
    return max(((a - b).norm() / a.norm()).item() for a, b in pairs)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process ends with, without a stop."""
    made = stages(tmp_path_factory.mktemp("alone"))
    return {name: train(stage, Accelerator(cpu=True)) for name, stage in made.items()}


@pytest.mark.parametrize("number", [2, 4])
def test_the_result_does_not_depend_on_the_number_of_processes(
    alone: dict[str, Any], tmp_path: Path, number: int
) -> None:
    first, *others = run(number, tmp_path)
    assert len(others) == number - 1
    assert all(other == first for other in others)
    for name, ended in first.items():
        assert distance(alone[name], ended) < 1e-6, name
        assert ended["ledger"]["forwards"] == alone[name]["ledger"]["forwards"]
        assert ended["ledger"]["samples_seen"] == 20 * 12
