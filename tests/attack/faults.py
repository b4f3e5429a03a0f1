"""Each call that writes, flushes, renames, opens or removes below the workspace fails once, by a full or a broken disk.

For all commands of the pipeline, each in a workspace without its output and in one that has it: the command ends with
one line, nothing is half-written, and the same command then ends with the same bits as without the fault.
"""

import dataclasses
import errno
import re
import shutil
import signal
from pathlib import Path

from tests.attack import edge, miniature, warm
from tests.attack.campaign import Campaign, Result
from tests.attack.command import Ended, run_command
from tests.attack.crashes import Known, recovers
from tests.attack.miniature import Miniature, Step

TOLD = "calls failed once with ENOSPC or EIO; the command ends with one line, and given again with the same bits"
ERRORS = ("ENOSPC", "EIO")
KILL = "KILL"
STATES = ("fresh", "there")  # without the command's output and with it


def run(campaign: Campaign, folder: Path) -> str:
    made = warm.make(folder)
    known = Known()
    kinds = cases(made, folder, ERRORS)
    campaign.run(kinds, lambda case: attack(case, kinds[case], made, folder / "case", known), kinds.__getitem__)
    return TOLD


def cases(made: Miniature, folder: Path, actions: tuple[str, ...]) -> dict[str, str]:
    """STEP:STATE:ACTION:NUMBER of all calls, the actions in turn, and what each tries: STEP:STATE:CALL."""
    found = {}
    for step in miniature.ATTACKED:
        for state in STATES:
            calls = count_calls(made, step, folder / "count", state)
            tried = after_which(calls) if actions == (KILL,) else [pattern(call.words) for call in calls]
            for n, words in enumerate(tried):
                found[f"{step.name}:{state}:{actions[n % len(actions)]}:{n:04d}"] = f"{step.name}:{state}:{words}"
    return found


def count_calls(made: Miniature, step: Step, folder: Path, state: str) -> list[edge.Call]:
    """The calls of an undisturbed command that could fail."""
    miniature.copy(made.after(step) if state == "there" else made.before[step.name], folder)
    ended = run_command(folder, step.words, edge.arm(folder, -1, 0))
    assert ended.code == 0, ended
    shutil.rmtree(folder)
    return edge.calls()


def pattern(words: str) -> str:
    """A call and its path, without what differs between two files of one sort, or two processes."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "*", re.sub(r"\.tmp\w{6}$", ".tmp*", words))


def after_which(calls: list[edge.Call]) -> list[str]:
    """For each call the last one before it that has changed something: a process killed there leaves its folder so."""
    last, found = "the start", []
    for call in calls:
        found.append(f"after {last}")
        last = last if call.is_idle else pattern(call.words)
    return found


def attack(case: str, kind: str, made: Miniature, folder: Path, known: Known) -> Result:
    """One case."""
    name, state, action, number = case.split(":")
    step = next(step for step in miniature.PIPELINE if step.name == name)
    error = edge.FATAL if action == KILL else getattr(errno, action)

    def disturb(place: Path) -> Ended | None:
        ended = run_command(place, step.words, edge.arm(place, int(number), error))
        return None if action == KILL and ended.code == -signal.SIGKILL else ended

    result = recovers(made, step, folder, disturb, is_there=state == "there", known=known)
    met = after_which(edge.calls())[-1] if action == KILL else pattern(edge.place())
    if kind != f"{name}:{state}:{met}":
        result = dataclasses.replace(result, beside={**result.beside, "met elsewhere than planned": 1})
    return dataclasses.replace(result, defect=f"{edge.place()}: {result.defect}") if result.defect else result
