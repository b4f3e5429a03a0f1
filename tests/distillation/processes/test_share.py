from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpd.artifacts import UserError
from gpd.distillation.processes.share import Share, check_batch, micro_batch, pieces
from tests.distillation.forked import together


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_every_row_is_one_process_own(number: int) -> None:
    rows = [row for index in range(number) for row in Share(index, number).own(range(10))]
    assert sorted(rows) == list(range(10))


def test_alone_all_rows_are_there() -> None:
    rows = torch.arange(6).view(3, 2)
    assert torch.equal(Share().together(rows, 3), rows)


@pytest.mark.parametrize("total", [1, 6, 7])
def test_what_each_has_done_is_everyones_in_order(tmp_path: Path, total: int) -> None:
    """On three processes, of which some may have nothing; they meet once before they exchange."""
    rows = torch.arange(1, 2 * total + 1).view(total, 2)

    def process(index: int) -> Callable[[], object]:
        def work() -> object:
            met: list[int] = []
            share = Share(index, 3, meet=lambda: met.append(index))
            return share.together(share.own(rows), total).tolist(), met

        return work

    assert together(tmp_path, *map(process, range(3))) == [[rows.tolist(), [index]] for index in range(3)]


def test_a_batch_that_the_processes_do_not_divide_is_named() -> None:
    check_batch("k1", 4, 2)
    with pytest.raises(UserError, match=r"params.yaml: distill\.stages\.k1\.batch=4 on 3 processes"):
        check_batch("k1", 4, 3)


def test_a_micro_batch_is_at_most_the_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPD_MICRO_BATCH", raising=False)
    assert micro_batch(6) == 6
    monkeypatch.setenv("GPD_MICRO_BATCH", "4")
    assert (micro_batch(6), micro_batch(2)) == (4, 2)
    monkeypatch.setenv("GPD_MICRO_BATCH", "0")
    with pytest.raises(UserError, match="GPD_MICRO_BATCH='0' must be a whole number above 0"):
        micro_batch(6)


def test_pieces_cover_all() -> None:
    assert [list(range(7))[piece] for piece in pieces(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
