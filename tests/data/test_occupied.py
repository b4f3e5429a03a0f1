import contextlib
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gpd import cli
from gpd.artifacts import UserError
from gpd.data.occupied import OccupiedError, is_held, occupying, output_lock, work_lock


def test_the_second_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "encode.lock"
    who = rf"process {os.getpid()} on {os.uname().nodename} is at it since \d+-\d+-\d+T\S+ \(.+\)"
    with occupying("encode", lock):
        assert is_held(lock)
        with pytest.raises(OccupiedError, match=rf"^encode: {who}; it was not started a second time$"):
            occupying("encode", lock).__enter__()
        assert is_held(lock)
    assert not is_held(lock)
    with occupying("encode", lock):
        pass


def test_the_second_may_wait_and_is_told_for_whom(tmp_path: Path) -> None:
    lock, heard = tmp_path / "encode.lock", []
    with contextlib.ExitStack() as first:
        first.enter_context(occupying("encode", lock))

        def on_wait(holder: str) -> None:
            heard.append(holder)
            first.close()

        with occupying("encode", lock, on_wait):
            assert is_held(lock)
    assert [f"encode: process {os.getpid()} on" in holder for holder in heard] == [True]


def test_a_holder_whose_note_is_not_there_yet_is_one_too(tmp_path: Path) -> None:
    lock = tmp_path / "encode.lock"
    with occupying("encode", lock):
        lock.with_suffix(".json").write_text("{")
        with pytest.raises(OccupiedError, match="encode: another process is at it"):
            occupying("encode", lock).__enter__()


def hold(lock: Path, told: Connection) -> None:
    with occupying("encode", lock):
        told.send(True)
        told.recv()


def test_a_lock_goes_with_a_holder_that_is_killed(tmp_path: Path) -> None:
    lock, (here, there) = tmp_path / "encode.lock", multiprocessing.Pipe()
    holder = multiprocessing.get_context("fork").Process(target=hold, args=(lock, there))
    holder.start()
    assert here.recv()
    assert holder.pid
    with pytest.raises(OccupiedError, match=f"process {holder.pid} on"):
        occupying("encode", lock).__enter__()
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with occupying("encode", lock):
        assert str(os.getpid()) in lock.with_suffix(".json").read_text()


def test_locks_are_files_of_their_folder_whatever_the_stage_is_called() -> None:
    assert output_lock("sample@../../x").parent == output_lock("encode").parent
    assert output_lock("sample@k8", "1/2") != output_lock("sample@k8", "0/2") != output_lock("sample@k8")
    assert work_lock(Path(".work/distill/k8-0.5")) == Path(".work/distill/k8-0.5.lock")


@pytest.mark.parametrize(
    "words", [["prepare"], ["encode"], ["sample", "k8"], ["evaluate", "k8"], ["report"], ["ablate"]]
)
def test_every_command_that_writes_ends_with_75(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gpd.models.use import profile_text

    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(profile_text("tiny-wan"))
    monkeypatch.setattr("sys.argv", ["gpd", *words])
    with occupying("it", output_lock("@".join(words))), pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == OccupiedError.status == 75 != UserError.status
    assert capsys.readouterr().err.startswith(f"gpd: {'@'.join(words)}: process {os.getpid()} on ")
