"""A sample of the campaigns (`python -m tests.attack`), a few seconds of each."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from gpd.core.randomness import Stream, nth_in_epochs
from tests.attack import miniature
from tests.attack.campaign import Campaign, Result
from tests.attack.command import Ended, start_command, wait_for
from tests.attack.crashes import Known, recovers, state_of
from tests.attack.edge import Call
from tests.attack.faults import after_which
from tests.attack.flips import flip
from tests.attack.fuzz import try_reader
from tests.attack.miniature import Miniature
from tests.attack.readers import Reader, word_readers, writers

PREPARE = miniature.PIPELINE[0]
READERS = {**word_readers(), **writers()}


@pytest.mark.parametrize("name", READERS)
def test_hostile_words_are_read_or_refused_with_one_line(name: str, tmp_path: Path) -> None:
    counts, defect = try_reader(READERS[name], tmp_path / "fuzz", 25, seed=0)
    assert not defect
    assert counts.total() >= 5


def test_a_reader_that_fails_otherwise_is_a_defect(tmp_path: Path) -> None:
    _, defect = try_reader(Reader(READERS["commit of a flow"].inputs, os.listdir), tmp_path / "fuzz", 40, seed=0)
    assert "FileNotFoundError" in defect or "ValueError" in defect


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return miniature.make(tmp_path_factory.mktemp("attack") / "miniature", (PREPARE,))


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_that_is_ended_is_given_again(made: Miniature, tmp_path: Path, number: int, is_there: bool) -> None:
    def disturb(place: Path) -> Ended | None:
        process = start_command(place, PREPARE.words)
        time.sleep(0.5 * made.seconds[PREPARE.name])  # wherever that is: it must not matter
        os.kill(process, number)
        ended = wait_for(process, place)
        assert ended.code in (0, -number, 128 + number)
        return None

    result = recovers(made, PREPARE, tmp_path / "case", disturb, is_there=is_there)
    assert result == Result("killed, recovered")


def test_a_result_that_differs_is_a_defect(made: Miniature, tmp_path: Path) -> None:
    def disturb(place: Path) -> None:
        (place / "data/source/prompts.txt").unlink()
        (place / "data/source/prompts.txt").write_text("another prompt\n")

    result = recovers(made, PREPARE, tmp_path / "case", disturb, is_there=False)
    assert (result.outcome, "other than without it" in result.defect) == ("lost", True)


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.attack.campaign.KEPT", tmp_path)
    tried: list[str] = []

    def attack(case: str) -> Result:
        tried.append(case)
        return Result("survived")

    Campaign("some", 1.0, 0).run(["a", "b"], attack)
    again = Campaign("some", 1.0, 0)
    again.run(["a", "b", "c"], attack)
    assert (tried[2:], again.counts) == (["c"], {"survived": 3})


def test_what_nothing_before_has_tried_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.attack.campaign.KEPT", tmp_path)
    tried: list[str] = []

    def attack(case: str) -> Result:
        tried.append(case)
        return Result("survived")

    campaign = Campaign("some", 1.0, 0)
    campaign.run([f"{word}{number}" for word in "abc" for number in range(9)], attack, kind=lambda case: case[0])
    assert (sorted(case[0] for case in tried[:3]), len(tried)) == (["a", "b", "c"], 27)
    assert campaign.done == campaign.planned == {"distinct": 3, "repeats": 24}


def test_a_state_is_run_from_once(made: Miniature, tmp_path: Path) -> None:
    known: Known = {}
    results = [
        recovers(made, PREPARE, tmp_path / "case", lambda place: None, is_there=False, known=known) for _ in range(2)
    ]
    assert [result.beside for result in results] == [{}, {"from a state that was known": 1}]
    (tmp_path / ".data.7.partial").touch()
    before = state_of(tmp_path)
    (tmp_path / ".data.7.partial").rename(tmp_path / ".data.8.partial")
    assert state_of(tmp_path) == before
    (tmp_path / ".data.8.partial").write_text("half")
    assert state_of(tmp_path) != before


def test_a_kill_is_known_by_what_was_changed_before_it() -> None:
    words = ("mkdir data", "write data/.a-12.tmpAbCdEf", "fsync data", "rename data/a-12")
    calls = [Call(each, is_idle=each.startswith("fsync")) for each in words]
    assert after_which(calls) == [
        "after the start",
        "after mkdir data",
        "after write data/.a-*.tmp*",
        "after write data/.a-*.tmp*",
    ]


def test_a_flip_is_one_bit_under_the_old_time_stamp(tmp_path: Path) -> None:
    file = tmp_path / "shard.tar"
    file.write_bytes(bytes(1000))
    os.utime(file, ns=(10**18, 10**18))
    flip(file, random.Random(0))
    assert sum(value.bit_count() for value in file.read_bytes()) == 1
    assert file.stat().st_mtime_ns == 10**18


def test_the_order_of_a_million_prompts_is_drawn_once() -> None:
    began = time.process_time()
    for number in range(1000):
        nth_in_epochs(number, 10**6, seed=1, stream=Stream.CLIP)
    assert time.process_time() - began < 5.0, "27.8 ms a sample if it were drawn each time"
