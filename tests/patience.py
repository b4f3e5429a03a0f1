"""Commands that may take as long as they compute: a machine may be slow, but not still."""

import resource
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

STILL_SECONDS = 300


def run_patiently(
    words: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whatever that takes, with what it prints.

    Raises:
        AssertionError: neither it nor a process that it started has computed anything for STILL_SECONDS.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=cwd, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        spent = 0.0
        while True:
            try:
                said, complained = process.communicate(timeout=STILL_SECONDS)
            except subprocess.TimeoutExpired:
                before, spent = spent, cpu_seconds(process.pid)
                if spent == before:
                    process.kill()
                    raise AssertionError(f"{words[0]} has computed nothing for {STILL_SECONDS} s: {words}") from None
            else:
                return subprocess.CompletedProcess(words, process.returncode, said, complained)


@contextmanager
def ends_within(seconds: float, process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> Iterator[None]:
    """The block waits for the end of a process, which may compute for so many seconds until then.

    So the machine may be as busy as it is. Processes that it started count if it waits for them.
    """
    before = cpu_seconds(process.pid) + _ended_seconds()
    yield
    assert process.returncode is not None
    assert _ended_seconds() - before < seconds


def _ended_seconds() -> float:
    """Of all children that this process has waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_seconds(pid: int) -> float:
    """Of a process and all those below it, ended ones included."""
    found = 0.0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            found += sum(process.cpu_times()[:4])  # user, system, and those of ended children
    except psutil.NoSuchProcess:
        pass
    return found
