"""Any stage's jobs: done or not, one process at a time, all files into place together."""

import multiprocessing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gpd.artifacts import DamagedError, UserError
from gpd.data.jobs import Work, parse_part
from tests.seals import flip


@dataclass(frozen=True)
class Job:
    name: str


JOBS = [Job("a.bin"), Job("b.bin")]


def do(work: Work, job: Job, content: bytes = b"content", **facts: Any) -> None:
    work.shards.mkdir(parents=True, exist_ok=True)
    (work.shards / job.name).write_bytes(content)
    work.finish(job, **facts)


def test_a_job_is_done_when_its_file_is_whole(tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    assert work.missing(JOBS) == JOBS
    do(work, JOBS[0], b"1234", rows=3)
    assert work.result(JOBS[0]) == {"size": 4, "sha256": sha256(b"1234").hexdigest(), "rows": 3}
    assert work.missing(JOBS) == [JOBS[1]]
    (work.shards / "a.bin").write_bytes(b"123")
    assert work.missing(JOBS) == JOBS
    (work.shards / "a.bin").unlink()
    assert work.result(JOBS[0]) is None


def test_a_file_without_a_note_is_not_done(tmp_path: Path) -> None:
    """Its process was killed between the file and the note: nobody can say that it is whole."""
    work = Work(tmp_path / "work")
    work.shards.mkdir(parents=True)
    (work.shards / "a.bin").write_bytes(b"1234")
    assert work.result(JOBS[0]) is None


@pytest.mark.parametrize("note", ["", '{"size": 4', "[]", "4", "{}", "\0\0\0"])
def test_a_note_that_is_cut_short_is_no_note(tmp_path: Path, note: str) -> None:
    work = Work(tmp_path / "work")
    do(work, JOBS[0], b"1234")
    (work.results / "a.bin.json").write_text(note)
    assert work.missing(JOBS) == JOBS


def test_files_move_into_place_together_and_nothing_else_does(tmp_path: Path) -> None:
    work, output = Work(tmp_path / "stage" / "k1-0.5"), tmp_path / "data" / "out"
    for job in JOBS:
        do(work, job)
    (work.shards / ".b.bin.dead.partial").write_bytes(b"half")
    with work.locked():
        number = work.publish(JOBS, output, lambda folder: (folder / "manifest.json").write_text("{}"))
    assert number == 2
    assert sorted(path.name for path in output.iterdir()) == ["a.bin", "b.bin", "manifest.json"]
    assert list((tmp_path / "stage").iterdir()) == []
    assert work.missing(JOBS) == JOBS


def test_what_fails_under_the_lock_stays_for_the_next_call(tmp_path: Path) -> None:
    work, output = Work(tmp_path / "work"), tmp_path / "out"
    for job in JOBS:
        do(work, job)

    def refuse(folder: Path) -> None:
        raise UserError("too many broken clips")

    with pytest.raises(UserError), work.locked():
        work.publish(JOBS, output, refuse)
    assert not output.exists()
    assert work.missing(JOBS) == []
    with work.locked():
        work.publish(JOBS, output, lambda folder: None)
    assert output.exists()


def _count(folder: Path, times: int) -> None:
    for _ in range(times):
        with Work(folder / "work").locked():
            number = int((folder / "number").read_text())
            (folder / "number").write_text(str(number + 1))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "number").write_text("0")
    spawning = multiprocessing.get_context("forkserver")  # a fork would end with the hooks of earlier tests
    processes = [spawning.Process(target=_count, args=(tmp_path, 25)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "75"


@pytest.mark.parametrize("shard", ["1/1", "2/1", "-1/2", "a/b", "1", "0/0", "0/1/2", ""])
def test_a_bad_part_is_named(shard: str) -> None:
    with pytest.raises(UserError, match=r"expected i/n with 0 <= i < n"):
        parse_part(shard)


def test_parts_are_read() -> None:
    assert parse_part("0/1") == (0, 1)
    assert parse_part("11/12") == (11, 12)


def test_a_finished_file_that_rots_is_not_published_and_made_again(tmp_path: Path) -> None:
    work, output = Work(tmp_path / "stage" / "k1"), tmp_path / "out"
    for job in JOBS:
        do(work, job)
    flip(work.shards / "a.bin")
    with pytest.raises(DamagedError, match=r"a\.bin: damaged: .* the same command makes it again"):
        work.publish(JOBS, output, lambda folder: None)
    assert not output.exists()
    assert work.missing(JOBS) == JOBS[:1]
    do(work, JOBS[0])
    work.publish(JOBS, output, lambda folder: None)
    assert sorted(path.name for path in output.iterdir()) == ["a.bin", "b.bin"]
