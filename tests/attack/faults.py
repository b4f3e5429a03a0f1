"""Each call that writes, flushes, renames, opens or removes below the workspace fails once, by a full or a broken disk.

For all commands of the pipeline, each in a workspace without its output and in one that has it: the command ends with
one line, nothing is half-written, and the same command then ends with the same bits as without the fault.
"""

import errno
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.attack import edge, miniature
from tests.attack.campaign import Campaign, Result
from tests.attack.command import Ended, import_all, run_command
from tests.attack.crashes import recovers
from tests.attack.miniature import Miniature, Step

TOLD = "calls failed once with ENOSPC or EIO; the command ends with one line, and given again with the same bits"
ERRORS = ("ENOSPC", "EIO")
KILL = "KILL"
STATES = ("fresh", "there")  # without the command's output and with it


def run(campaign: Campaign, folder: Path) -> str:
    import_all()
    made = miniature.make(folder / "miniature")
    campaign.run(cases(made, folder, ERRORS), lambda case: attack(case, made, folder / "case"))
    return TOLD


def cases(made: Miniature, folder: Path, actions: tuple[str, ...]) -> Iterator[str]:
    """STEP:STATE:ACTION:NUMBER of all calls, the actions in turn."""
    for step in miniature.ATTACKED:
        for state in STATES:
            number = count_calls(made, step, folder / "count", state)
            yield from (f"{step.name}:{state}:{actions[n % len(actions)]}:{n:04d}" for n in range(number))


def count_calls(made: Miniature, step: Step, folder: Path, state: str) -> int:
    """How many calls of an undisturbed command could fail."""
    miniature.copy(made.after(step) if state == "there" else made.before[step.name], folder)
    ended = run_command(folder, step.words, edge.arm(folder, -1, 0))
    assert ended.code == 0, ended
    number = edge.calls_made()
    shutil.rmtree(folder)
    return number


def attack(case: str, made: Miniature, folder: Path) -> Result:
    """One case."""
    name, state, action, number = case.split(":")
    step = next(step for step in miniature.PIPELINE if step.name == name)
    error = edge.FATAL if action == KILL else getattr(errno, action)

    def disturb(place: Path) -> Ended | None:
        ended = run_command(place, step.words, edge.arm(place, int(number), error))
        return None if action == KILL and ended.code == -signal.SIGKILL else ended

    result = recovers(made, step, folder, disturb, is_there=state == "there")
    return Result(result.outcome, f"{edge.place()}: {result.defect}") if result.defect else result
