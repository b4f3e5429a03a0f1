from pathlib import Path

import torch

from gpd.distillation.pieces import Piece, fill, find_pieces, share_out, write_pieces


def test_pieces_of_any_cut_make_the_whole_again(tmp_path: Path) -> None:
    whole, scalar = torch.arange(30.0).view(5, 6), torch.tensor(7.0)
    write_pieces(tmp_path / "a", {"whole": Piece(whole[:2], (0, 0)), "scalar": Piece(scalar, ())})
    write_pieces(tmp_path / "b", {"whole": Piece(whole[2:, :4], (2, 0))})
    write_pieces(tmp_path / "c", {"whole": Piece(whole[2:, 4:], (2, 4))})
    read = {"whole": torch.zeros(5, 6), "scalar": torch.zeros(())}
    fill(read, find_pieces([tmp_path / name for name in "abc"]))
    assert torch.equal(read["whole"], whole)
    assert read["scalar"] == 7


def test_all_processes_write_about_the_same() -> None:
    sizes = {"large": 8, "half": 4, "other": 3, "small": 1}
    assert share_out(sizes, 2) == {"large": 0, "half": 1, "other": 1, "small": 1}


def test_a_process_may_have_nothing_to_write(tmp_path: Path) -> None:
    write_pieces(tmp_path / "empty", {})
    assert find_pieces([tmp_path / "empty"]) == {}
