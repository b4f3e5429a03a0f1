"""One mutant tried in a process forked from one that has imported and prepared everything."""

import os
import resource
import select
import signal
from collections.abc import Callable
from contextlib import suppress

KILLED, SURVIVED, ENDLESS, LEFT_OUT = "killed", "survived", "killed, by the limit of time", "not applicable"
CODES = {0: SURVIVED, 1: KILLED, 3: LEFT_OUT}
MEMORY = 4 << 30  # bytes of addresses beyond those of the parent


def forked(work: Callable[[], int], patience: float) -> str:
    """What became of `work` (which returns one of CODES) in a process of its own.

    Args:
        patience: seconds on the clock after which it counts as endless: it waits for what will not come.
    """
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (_addresses() + MEMORY, resource.RLIM_INFINITY))
            code = work()
        finally:
            os._exit(code)
    watch = os.pidfd_open(pid)
    has_ended, _, _ = select.select([watch], [], [], patience)
    os.close(watch)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # and whatever it has started
    _, status = os.waitpid(pid, 0)
    if not has_ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return ENDLESS
    return CODES.get(os.WEXITSTATUS(status), KILLED) if os.WIFEXITED(status) else KILLED


def limit_processor(seconds: float) -> None:
    """From now on; then SIGXCPU."""
    spent = sum(os.times()[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + seconds) + 2, resource.RLIM_INFINITY))


def _addresses() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
