from pathlib import Path

import torch

from gpd.distillation.processes.peers import Peers
from tests.distillation.forked import together


def test_alone_one_has_the_first_word_and_the_last() -> None:
    peers = Peers()
    assert (peers.is_alone, peers.rank, peers.number) == (True, 0, 1)
    assert peers.gather(torch.tensor(7)) == [torch.tensor(7)]


def test_everyone_hears_everyone_by_rank(tmp_path: Path) -> None:
    def work() -> object:
        peers = Peers()
        values = peers.gather(torch.tensor([10 * peers.rank, 1]))
        return [peers.is_alone, peers.rank, peers.number, torch.stack(values).tolist()]

    heard = [[0, 1], [10, 1], [20, 1]]
    assert together(tmp_path, work, work, work) == [[False, rank, 3, heard] for rank in range(3)]
