"""SIGTERM at any moment, as a pre-empted machine or a cancelled flow sends it, to one process and to two.

The command ends within ten seconds with 143, what it has trained is saved, none of its processes is left, and the same
command ends with the bits of an uninterrupted run.
"""

import os
import random
import signal
import time
from pathlib import Path

from tests.attack import kills, warm
from tests.attack.campaign import Campaign, Result
from tests.attack.command import Ended, start_command, wait_for
from tests.attack.crashes import recovers
from tests.attack.kills import DISTILL, OnTwo
from tests.attack.miniature import ATTACKED, Miniature, Step

TOLD = "told to end by SIGTERM; 143 within 10 s, nobody is left, and the same command ends with the same bits"
ENDED = 128 + signal.SIGTERM
SECONDS = 10.0
NUM_MOMENTS, NUM_OF_TWO = 8, 20


def run(campaign: Campaign, folder: Path) -> str:
    made = warm.make(folder)
    two = kills.on_two(made, folder)
    cases = [f"{step.name}:ONE:{n:02d}" for step in ATTACKED for n in range(NUM_MOMENTS)]
    cases += [f"{DISTILL.name}:TWO:{n:02d}" for n in range(NUM_OF_TWO)]
    campaign.run(cases, lambda case: attack(case, two if ":TWO:" in case else made, folder / "case"))
    return TOLD


def attack(case: str, made: Miniature, folder: Path) -> Result:
    """One case."""
    name = case.split(":")[0]
    step = next(step for step in ATTACKED if step.name == name)
    moment = random.Random(case).uniform(0, made.seconds[name])
    seen: list[Result] = []

    def disturb(place: Path) -> Ended | None:
        processes = _start(made, step, place)
        time.sleep(moment)
        told = time.monotonic()
        for process in processes:
            os.kill(process, signal.SIGTERM)
        codes = [wait_for(process, place, 2 * SECONDS).code for process in processes]
        seconds = time.monotonic() - told
        while any(map(_has_members, processes)) and time.monotonic() - told < SECONDS:
            time.sleep(0.01)  # what was asked of git, as a command began, ends by itself
        seen.append(_judge(codes, seconds, processes))
        return None

    recovered = recovers(made, step, folder, disturb, is_there=False)
    return next((result for result in seen if result.defect), recovered)


def _start(made: Miniature, step: Step, place: Path) -> list[int]:
    return kills.start_two(step, place) if isinstance(made, OnTwo) else [start_command(place, step.words)]


def _judge(codes: list[int], seconds: float, processes: list[int]) -> Result:
    if any(code not in (0, ENDED) for code in codes):
        return Result("lost", f"ended with {codes}, not {ENDED}")
    if seconds > SECONDS:
        return Result("lost", f"took {seconds:.1f} s to end")
    if left := [process for process in processes if _has_members(process)]:
        return Result("lost", f"processes are left of {left}")
    return Result("ended")


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
