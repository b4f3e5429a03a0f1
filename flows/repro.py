"""`make repro`: what is stale, on this machine and without a server; two stages at once if it has no GPU.

One thread for each is the better use of two cores: the miniature's products gain little from a second thread, and a
third of the pipeline is imports and files. It also makes a student's bytes the same for any number of cores.
"""

import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from pathlib import Path

from flows import devices, graph, process, rwlock
from flows.graph import Needs
from flows.process import StageFailedError, run_command
from gpd.artifacts import UserError
from gpd.progress import curve_adder

AT_ONCE = 2

_LOSS = re.compile(r"(?P<where>(?P<title>[^:]+): \d+/\d+ )(?P<loss>loss \S+)$")
_curves: defaultdict[str, Callable[[str], str]] = defaultdict(curve_adder)  # by title


def run(root: Path, at_once: int) -> None:
    """Brings all stages up to date, first those that most others wait for.

    Raises:
        StageFailedError: of the first stage that failed; one that went beside it has come to its end.
    """
    needs = stale_stages(root)
    waiting, ready, running = TopologicalSorter(needs), list[str](), dict[Future[None], str]()
    waiting.prepare()
    with ThreadPoolExecutor(at_once) as pool:
        while waiting.is_active():
            ready = by_urgency([*ready, *waiting.get_ready()], needs)
            is_alone = len(ready) + len(running) == 1
            for name in ready[: at_once - len(running)]:
                running[pool.submit(reproduce, root, name, is_alone)] = name
                ready.remove(name)
            for ended in wait_for_one(running):
                ended.result()
                waiting.done(running.pop(ended))


def stale_stages(root: Path) -> Needs:
    """The stages that have something to do and all that come after them, each with those of them that it needs."""
    needs = graph.needs(root)
    return graph.without(needs, frozenset(needs) - graph.outdated(root, needs))


def by_urgency(names: list[str], needs: Needs) -> list[str]:
    """First those that most others wait for, directly or not: the trainings of a chain come before their samples."""
    urgency = {name: sum(name in graph.with_needs(needs, {other}) for other in needs) for name in names}
    return sorted(names, key=lambda name: (-urgency[name], list(needs).index(name)))


def wait_for_one(running: Mapping[Future[None], str]) -> set[Future[None]]:
    """Those that have ended, at least one; if the wait is broken off, so is the work."""
    try:
        return wait(running, return_when=FIRST_COMPLETED).done
    except BaseException:
        process.stop_all()
        raise


def reproduce(root: Path, stage: str, is_alone: bool) -> None:
    """One stage: from DVC's cache where it has been made before, else by its command.

    Args:
        is_alone: it may start a process a core where it shares out its work.
    """
    words = ["dvc", "--wait-for-lock", "repro", "-s", stage]
    share = {"OMP_NUM_THREADS": "1"} | ({} if is_alone else {"GPD_PROCESSES": "1"})
    own = {name: value for name, value in share.items() if name not in os.environ}  # what the user has set stays
    env = graph.dvc_environment(root, GPD_PROGRESS="lines", **own)
    run_command(words, cwd=root, env=env, on_lines=say, title=stage)


def say(lines: list[str]) -> None:
    """Prints lines, without DVC's advice after every stage; a terminal shows the curve of a loss beside it."""
    for line in lines:
        if not graph.HINT.match(line):
            print(with_curve(line) if sys.stdout.isatty() else line, flush=True)


def with_curve(line: str) -> str:
    """A stage's progress with the curve of the losses that its lines have told."""
    found = _LOSS.match(line)
    return line if found is None else found["where"] + _curves[found["title"]](found["loss"])


def main() -> None:
    """From the command line: `python -m flows.repro [stages at once]`."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else AT_ONCE
    if devices.visible() or most == 1:  # a stage has all of them
        rwlock.mend(Path())
        os.execvpe("dvc", ["dvc", "--wait-for-lock", "repro"], graph.dvc_environment(Path()))
    try:
        run(Path.cwd(), min(most, len(os.sched_getaffinity(0))))
    except StageFailedError as error:
        sys.exit(f"{error.stage} ended with exit status {error.exit_status}; see above")
    except UserError as error:
        sys.exit(f"gpd: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
