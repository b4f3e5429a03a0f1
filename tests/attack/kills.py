"""SIGKILL at any moment and before any call of the file system, on one process and on two; then the same command again.

The result is that of an uninterrupted run to the bit, and at no moment is anything there half-written.
"""

import dataclasses
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.attack import edge, faults, miniature, warm
from tests.attack.campaign import Campaign, Result
from tests.attack.command import Ended, start_command, wait_for
from tests.attack.crashes import Known, recovers
from tests.attack.miniature import ATTACKED, Miniature, Step

TOLD = "killed by SIGKILL; the same command ends with the bits of an uninterrupted run"
NUM_RANDOM, NUM_OF_TWO = 20, 60  # moments for each command; for two processes
SECONDS_ALONE = 10.0  # for a process to notice that the other is gone
DISTILL = next(step for step in ATTACKED if step.words[0] == "distill")


def run(campaign: Campaign, folder: Path) -> str:
    made = warm.make(folder)
    two = on_two(made, folder)
    known = Known()
    kinds = {**faults.cases(made, folder, (faults.KILL,)), **_moments()}
    attacks: dict[str, Callable[[str, Path], Result]] = {
        faults.KILL: lambda case, place: faults.attack(case, kinds[case], made, place, known),
        "MOMENT": lambda case, place: _at_a_moment(case, made, place),
        "TWO": lambda case, place: _one_of_two(case, two, place),
    }
    campaign.run(kinds, lambda case: attacks[case.split(":")[2]](case, folder / "case"), kinds.__getitem__)
    return TOLD


def _moments() -> dict[str, str]:
    """A process killed at a moment repeats what is tried at each call; of two processes no two moments are alike."""
    alone = {f"{step.name}:fresh:MOMENT:{n:02d}": f"{step.name}:MOMENT" for step in ATTACKED for n in range(NUM_RANDOM)}
    return alone | {case: case for case in (f"{DISTILL.name}:fresh:TWO:{n:02d}" for n in range(NUM_OF_TWO))}


def _at_a_moment(case: str, made: Miniature, folder: Path) -> Result:
    name = case.split(":")[0]
    step = next(step for step in ATTACKED if step.name == name)
    moment = random.Random(case).uniform(0, made.seconds[name])

    def disturb(place: Path) -> Ended | None:
        process = start_command(place, step.words)
        time.sleep(moment)
        os.killpg(process, signal.SIGKILL)
        ended = wait_for(process, place)
        return None if ended.code == -signal.SIGKILL else ended

    return recovers(made, step, folder, disturb, is_there=False)


class OnTwo(Miniature):
    """The same workspaces, in which distillation runs on two processes."""

    def run(self, step: Step, folder: Path) -> Ended:
        """Both to their end."""
        first, second = [wait_for(process, folder) for process in start_two(step, folder)]
        return first if first.code else second


def on_two(made: Miniature, folder: Path) -> OnTwo:
    """With what two processes end with, which is another sum in another order."""
    two, place = OnTwo(**vars(made)), folder / "two"
    miniature.copy(made.before[DISTILL.name], place)
    ended = two.run(DISTILL, place)
    assert ended.code == 0, ended
    expected = {**made.expected, DISTILL.name: miniature.digests(place, DISTILL)}
    return dataclasses.replace(two, expected=expected)


def start_two(step: Step, folder: Path, first: tuple[Callable[[], None], ...] = ()) -> list[int]:
    """A command on two processes of this machine, as the launcher starts them.

    Args:
        first: what each of them calls before it begins.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    begin = first or (lambda: None, lambda: None)
    return [
        start_command(folder, step.words, begin[rank], RANK=str(rank), LOCAL_RANK=str(rank), **shared)
        for rank in range(2)
    ]


def _one_of_two(case: str, made: OnTwo, folder: Path) -> Result:
    """One is killed, at a moment or before a call; the other, which has noticed or not, is killed soon after."""
    draw = random.Random(case)
    rank, at_call = draw.randrange(2), draw.random() < 0.5
    number, moment = draw.randrange(150), draw.uniform(0, 2 * made.seconds[DISTILL.name])

    def disturb(place: Path) -> Ended | None:
        deadly = edge.arm(place, number if at_call else -1, edge.FATAL)
        processes = start_two(DISTILL, place, (deadly, lambda: None) if rank == 0 else (lambda: None, deadly))
        if not at_call:
            time.sleep(moment)
            os.kill(processes[rank], signal.SIGKILL)
        killed = wait_for(processes[rank], place)
        other = wait_for(processes[1 - rank], place, SECONDS_ALONE)
        return other if killed.code == 0 == other.code else None

    return recovers(made, DISTILL, folder, disturb, is_there=False)
