from pathlib import Path

import torch

from gpd.distillation.saving.pieces import Piece, _copy_common, fill, find_pieces, share_out, write_pieces


def test_pieces_of_any_cut_make_the_whole_again(tmp_path: Path) -> None:
    whole, scalar = torch.arange(30.0).view(5, 6), torch.tensor(7.0)
    write_pieces(tmp_path / "a", {"whole": Piece(whole[:2], (0, 0)), "scalar": Piece(scalar, ())})
    write_pieces(tmp_path / "b", {"whole": Piece(whole[2:, :4], (2, 0))})
    write_pieces(tmp_path / "c", {"whole": Piece(whole[2:, 4:], (2, 4))})
    read = {"whole": torch.zeros(5, 6), "scalar": torch.zeros(())}
    fill(read, find_pieces([tmp_path / name for name in "abc"]))
    assert torch.equal(read["whole"], whole)
    assert read["scalar"] == 7


def test_a_process_reads_of_each_piece_what_it_shares(tmp_path: Path) -> None:
    """Rows 1 to 3 and columns 2 to 4 of a whole that lies in two pieces of three rows each."""
    whole = torch.arange(30.0).view(6, 5)
    for name, first in (("a", 0), ("b", 3)):
        write_pieces(tmp_path / name, {"whole": Piece(whole[first : first + 3], (first, 0))})
    own = Piece(torch.zeros(3, 3), (1, 2))
    places = find_pieces([tmp_path / "a", tmp_path / "b"])["whole"]
    assert [_copy_common("whole", own, place) for place in places] == [6, 3]
    assert torch.equal(own.data, whole[1:4, 2:5])
    assert _copy_common("whole", Piece(torch.zeros(2, 5), (4, 0)), places[0]) == 0


def test_all_processes_write_about_the_same() -> None:
    sizes = {"large": 8, "half": 4, "other": 3, "small": 1}
    assert share_out(sizes, 2) == {"large": 0, "half": 1, "other": 1, "small": 1}


def test_a_process_may_have_nothing_to_write(tmp_path: Path) -> None:
    write_pieces(tmp_path / "empty", {})
    assert find_pieces([tmp_path / "empty"]) == {}
