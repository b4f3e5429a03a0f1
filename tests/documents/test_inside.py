"""A page reads the files of the folder that names them, and no others."""

from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.documents.inside import path_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a clip, and beside it what nobody may see."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "clips/more").mkdir(parents=True)
    (tmp_path / "clips/a.mp4").write_bytes(b"a")
    (tmp_path / "clips/b.mp4").symlink_to("a.mp4")
    (tmp_path / "clips/out.mp4").symlink_to("../secret.txt")
    (tmp_path / "clips/up").symlink_to("..")
    (tmp_path / "clips/circle").symlink_to("circle")
    return tmp_path / "clips"


@pytest.mark.parametrize("name", ["a.mp4", "b.mp4", "more/c.mp4", "not-there.mp4", "-a.mp4", "clip 良い.mp4"])
def test_files_of_the_folder(folder: Path, name: str) -> None:
    assert path_inside(folder, name) == folder / name


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "more/../../secret.txt", "/etc/hostname", "out.mp4", "up/secret.txt", "circle", "", ".", "..",
     "a\0.mp4", "a\n.mp4"],
)  # fmt: skip
def test_what_leads_elsewhere_is_refused_in_one_line(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not a file of this folder") as caught:
        path_inside(folder, name)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_an_absolute_name_of_the_folders_own_file_is_refused(folder: Path) -> None:
    with pytest.raises(UserError):
        path_inside(folder, str(folder / "a.mp4"))


def test_links_into_the_cache_of_dvc_are_followed(folder: Path) -> None:
    kept = folder.parent / "cache/files/md5" / "ab" / ("0" * 30)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"c")
    (folder / "c.mp4").symlink_to(kept)
    assert path_inside(folder, "c.mp4").read_bytes() == b"c"
