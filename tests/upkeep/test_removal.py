import shutil
from pathlib import Path

import pytest

from gpd.artifacts import is_leftover
from gpd.upkeep.removal import remove


def test_a_stop_in_between_leaves_nothing_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "k8-1"
    (folder / "at-9").mkdir(parents=True)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            remove(folder)
    (left,) = tmp_path.iterdir()
    monkeypatch.setattr("gpd.artifacts._is_running", lambda _: False)  # it has ended since
    assert is_leftover(left)


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    theirs, link = tmp_path / "theirs", tmp_path / "link"
    theirs.mkdir()
    link.symlink_to(theirs)
    remove(link)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_a_folder_and_a_file_go_and_what_is_gone_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "file"):
        remove(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
