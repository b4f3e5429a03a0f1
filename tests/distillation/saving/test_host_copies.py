import torch

from gpd.distillation.saving.host_copies import HostCopies
from gpd.distillation.saving.pieces import Piece


def test_a_copy_stays_as_it_was_until_the_next_one_is_taken() -> None:
    copies, weight = HostCopies(), torch.ones(3)
    first = copies.take({"weight": Piece(weight, (2,))})["weight"]
    weight.zero_()
    assert (first.data.tolist(), first.offset) == ([1, 1, 1], (2,))
    second = copies.take({"weight": Piece(weight, (2,))})["weight"]
    assert second.data is first.data
    assert second.data.tolist() == [0, 0, 0]


def test_a_tensor_of_another_shape_gets_room_of_its_own() -> None:
    copies = HostCopies()
    copies.take({"weight": Piece(torch.ones(3), (0,))})
    assert copies.take({"weight": Piece(torch.ones(2, 2), (0, 0))})["weight"].data.shape == (2, 2)
    whole = copies.take({"weight": Piece(torch.ones(2, 2, dtype=torch.int64), (0, 0))})["weight"].data
    assert whole.dtype == torch.int64
    assert not whole.is_pinned()
