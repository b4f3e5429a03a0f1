"""Laws of training on several processes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpd.distillation.saving.train_state import MARKER
from tests.distillation.some_processes import ITERATIONS, STOP, Ended, run

NAMES = ("full", "lora", "flow", "heads")
Whole = Callable[[int], dict[str, Ended]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What the main one of so many processes ends with, without a stop."""
    known: dict[int, dict[str, Ended]] = {}

    def on(number: int) -> dict[str, Ended]:
        if number not in known:
            first, *others = run(number, tmp_path_factory.mktemp("whole"), *NAMES)
            assert all(other == first for other in others)
            known[number] = first
        return known[number]

    return on


def distance(one: Ended, other: Ended) -> float:
    """The largest relative difference of weights, losses and probed figures."""

    def figures(ended: Ended) -> list[torch.Tensor]:
        ledger = ended["ledger"]
        probed = [*ledger["before"].values(), *ledger["after"].values()]
        return [torch.tensor(values, dtype=torch.float64) for values in (ended["weights"], ledger["losses"], probed)]

    pairs = zip(figures(one), figures(other), strict=True)
    return max(((a - b).norm() / a.norm()).item() for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [2, 4])
def test_the_result_does_not_depend_on_the_number_of_processes(whole: Whole, number: int, name: str) -> None:
    alone, ended = whole(1)[name], whole(number)[name]
    assert distance(alone, ended) < 1e-6
    assert ended["ledger"]["forwards"] == alone["ledger"]["forwards"]
    assert ended["ledger"]["samples_seen"] == alone["ledger"]["samples_seen"] == 12 * ITERATIONS


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_any_number_of_processes_goes_on_where_any_number_stopped(
    whole: Whole, tmp_path: Path, before: int, after: int
) -> None:
    assert run(before, tmp_path, "full", stop=STOP) == []
    assert 1 <= json.loads((tmp_path / "full" / MARKER).read_text())["iteration"] < STOP
    resumed = run(after, tmp_path, "full")[0]["full"]
    if before == after:
        assert resumed == whole(before)["full"]
    assert distance(whole(1)["full"], resumed) < 1e-6
