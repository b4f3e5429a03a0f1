"""DVC's list of the paths in use: what a killed dvc has left of it goes, nothing else does."""

import threading
from pathlib import Path

import pytest

from flows import locks, rwlock


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    (tmp_path / rwlock.FOLDER).mkdir(parents=True)
    return tmp_path / rwlock.FOLDER / "rwlock"


@pytest.mark.parametrize("left", [b"", b'{"write": {"/a/b": {"pid": 12,', b"\xff\xfe"])
def test_what_is_no_json_goes(tmp_path: Path, listed: Path, left: bytes) -> None:
    listed.write_bytes(left)
    rwlock.mend(tmp_path)
    assert not listed.exists()


def test_a_whole_list_stays_and_none_is_none(tmp_path: Path, listed: Path) -> None:
    rwlock.mend(tmp_path)
    assert not list(listed.parent.iterdir())
    listed.write_text('{"write": {}, "read": {}}')
    rwlock.mend(tmp_path)
    assert listed.read_text() == '{"write": {}, "read": {}}'


def test_a_list_that_is_being_written_is_waited_for(tmp_path: Path, listed: Path) -> None:
    with locks.locked(listed.with_name("rwlock.lock")):
        listed.write_text("")
        mending = threading.Thread(target=rwlock.mend, args=(tmp_path,))
        mending.start()
        mending.join(0.1)
        assert mending.is_alive()
        listed.write_text("{}")
    mending.join()
    assert listed.read_text() == "{}"
