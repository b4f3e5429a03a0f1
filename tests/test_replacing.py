"""Folders are replaced whole whatever goes wrong: old or new, never nothing, and nothing lies about afterwards."""

import contextlib
import itertools
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpd import artifacts, documents
from tests.faults import dies, fail, fault, number_of_calls
from tests.test_artifacts import make

SHM = Path("/dev/shm")


def content(folder: Path) -> str:
    """The one word that all files of a folder hold."""
    names, words = [path.name for path in folder.iterdir()], {path.read_text() for path in folder.iterdir()}
    assert sorted(names) == ["a", "b"]
    assert len(words) == 1
    return words.pop()


def fill(folder: Path, word: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in "ab":
        (folder / name).write_text(word)


def write_anew(folder: Path) -> None:
    with artifacts.replacing(folder / "out") as partial:
        fill(partial, "new")


def move_finished(folder: Path) -> None:
    """As stages whose files wait in .work: made only if they are not there from the last time."""
    finished = folder / "work" / "shards"
    if not finished.exists():
        fill(folder / "work" / "making", "new")
        (folder / "work" / "making").rename(finished)
    artifacts.move_into_place(finished, folder / "out")


PUBLISHERS = [write_anew, move_finished]


def start(folder: Path, *, has_old: bool) -> Path:
    folder.mkdir()
    if has_old:
        fill(folder / "out", "old")
    return folder


def assert_whole(folder: Path, *, has_old: bool) -> None:
    """What a reader finds: old or new; nothing only if there was nothing."""
    artifacts.restore(folder / "out")
    if has_old or (folder / "out").exists():
        assert content(folder / "out") in ("old", "new")


def assert_new_alone(folder: Path) -> None:
    assert content(folder / "out") == "new"
    assert {path.name for path in folder.iterdir()} - {"work"} == {"out"}


@pytest.mark.parametrize("has_old", [True, False])
@pytest.mark.parametrize("publish", PUBLISHERS)
def test_death_before_any_call_leaves_old_or_new(
    publish: Callable[[Path], None], has_old: bool, tmp_path: Path
) -> None:
    for number in itertools.count():
        folder = start(tmp_path / str(number), has_old=has_old)
        if not dies(number, lambda folder=folder: publish(folder)):
            break
        assert_whole(folder, has_old=has_old)
        publish(folder)
        assert_new_alone(folder)
    assert number >= (10 if has_old else 6)


@pytest.mark.parametrize("has_old", [True, False])
@pytest.mark.parametrize("publish", PUBLISHERS)
def test_a_call_that_fails_leaves_old_or_new(publish: Callable[[Path], None], has_old: bool, tmp_path: Path) -> None:
    total = number_of_calls(lambda: publish(start(tmp_path / "counted", has_old=has_old)))
    for number in range(total):
        folder = start(tmp_path / str(number), has_old=has_old)
        with fault(number, fail), contextlib.suppress(OSError):
            publish(folder)
        assert_whole(folder, has_old=has_old)
        publish(folder)
        assert_new_alone(folder)


def test_death_twice_in_a_row_loses_nothing(tmp_path: Path) -> None:
    """The second run dies while it repairs what the first has left."""
    total = number_of_calls(lambda: write_anew(start(tmp_path / "counted", has_old=True)))
    for first in range(total):
        for second in (1, 2, 4, 6):
            folder = start(tmp_path / f"{first}-{second}", has_old=True)
            for number in (first, second):
                with fault(number, fail, for_good=True), contextlib.suppress(OSError):
                    write_anew(folder)
            assert_whole(folder, has_old=True)
            write_anew(folder)
            assert_new_alone(folder)


def test_a_reader_puts_the_old_folder_back(tmp_path: Path) -> None:
    manifest = make(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.old")  # died between the two renames
    assert documents.identify(tmp_path / "out") == manifest.identity
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_half_removed_folder_is_never_put_back(tmp_path: Path) -> None:
    """Killed while the old one goes; then DVC takes the new one away, to run the stage again."""
    died = 0
    for number in range(number_of_calls(lambda: write_anew(start(tmp_path / "counted", has_old=True)))):
        folder = start(tmp_path / str(number), has_old=True)
        died += dies(number, lambda folder=folder: write_anew(folder))
        artifacts._remove(folder / "out")
        artifacts.restore(folder / "out")
        if (folder / "out").exists():
            assert content(folder / "out") == "old"
    assert died


def test_leftovers_go_only_if_their_process_is_gone(tmp_path: Path) -> None:
    host, dead = os.uname().nodename, 2**22 + 1  # above the largest number of a process
    leftovers = {f".out.{host}.{dead}.partial", f".out.{dead}.partial", f".out.{dead}.old", f".out.{host}.{dead}.old"}
    others = {f".out.{host}.1.partial", f".out.elsewhere.{dead}.partial", f".more.{host}.{dead}.partial", "out.old"}
    for name in leftovers | others:
        fill(tmp_path / name, "half")
    write_anew(tmp_path)
    write_anew(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == others | {"out"}


def _publish_often(folder: Path, times: int) -> None:
    for _ in range(times):
        write_anew(folder)
        move_own(folder)


def move_own(folder: Path) -> None:
    finished = folder / "work" / str(os.getpid())
    fill(finished, "new")
    artifacts.move_into_place(finished, folder / "out")


def test_processes_that_publish_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    spawning = multiprocessing.get_context("spawn")  # a fork would end with the hooks of earlier tests
    processes = [spawning.Process(target=_publish_often, args=(tmp_path, 15)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert_new_alone(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


def test_from_another_file_system_the_old_folder_stays_until_the_copy_is_whole(tmp_path: Path, elsewhere: Path) -> None:
    def publish(folder: Path) -> None:
        finished = elsewhere / folder.name
        if not finished.exists():
            fill(finished, "new")
        artifacts.move_into_place(finished, folder / "out")

    for number in itertools.count():
        folder = start(tmp_path / str(number), has_old=True)
        if not dies(number, lambda folder=folder: publish(folder)):
            break
        if (elsewhere / folder.name).exists():
            assert content(elsewhere / folder.name) == "new"
        assert_whole(folder, has_old=True)
        publish(folder)
        assert_new_alone(folder)
    assert number >= 10
    assert list(elsewhere.iterdir()) == []


def test_bytes_are_flushed_before_the_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with fault(-1, fail) as made:
        artifacts.write_text(tmp_path / "a.txt", "word")
    assert made.index("fsync") < made.index("replace") < len(made) - 1 - made[::-1].index("fsync")
    with fault(-1, fail) as made:
        write_anew(tmp_path)
    assert made[: made.index("rename")].count("fsync") == 3  # two files and their folder


def test_a_fault_in_a_file_leaves_its_old_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    for number in range(number_of_calls(lambda: artifacts.write_text(tmp_path / "b.txt", "new"))):
        with fault(number, fail), contextlib.suppress(OSError):
            artifacts.write_text(path, "new")
        assert path.read_text() in ("old", "new")
        dies(number, lambda: artifacts.write_text(path, "new"))
        assert path.read_text() in ("old", "new")
