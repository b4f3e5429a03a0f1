"""Commands as processes that never outlive the flow, whatever happens to it."""

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

SUPERVISOR = Path(__file__).with_name("supervisor.py")
SECONDS_BETWEEN_BATCHES = 0.3  # lines are handed on together: a record a line would slow the command down
LINES_KEPT = 30

OnLines = Callable[[list[str]], None]

_running: set[subprocess.Popen[bytes]] = set()
_stopping = threading.Event()


class StageFailedError(Exception):
    """A command that ended badly: its title, exit status and last lines."""

    def __init__(self, stage: str, exit_status: int, last_lines: Sequence[str]) -> None:
        self.stage, self.exit_status, self.last_lines = stage, exit_status, list(last_lines)
        super().__init__("\n".join([f"{stage} ended with exit status {exit_status}; its last lines:", *last_lines]))


class StoppedError(Exception):
    """A command that was not started, or ended, because the flow is stopping."""


def stop_all() -> None:
    """Ends every running command of this process and refuses new ones: the flow was cancelled or is failing."""
    _stopping.set()
    for command in list(_running):
        _let_go(command)


def start_again() -> None:
    """Allows commands after `stop_all`: called by each flow as it starts."""
    _stopping.clear()


def is_stopping() -> bool:
    """Whether `stop_all` was called: then nothing is to be tried again."""
    return _stopping.is_set()


def environment(**extra: str) -> dict[str, str]:
    """This process's environment with our own commands first on PATH, for `dvc` and `gpd`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, **extra}


def run_command(
    words: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_lines: OnLines,
    title: str | None = None,
    held: Sequence[int] = (),
) -> list[str]:
    """Runs a command to its end and returns its last lines (standard output and error together).

    Args:
        on_lines: gets the new lines, some times a second.
        held: file descriptors (of locks) to keep open until all that the command started is gone, even where this
            process is killed before.

    Raises:
        StageFailedError: the exit status is not 0.
        StoppedError: the flow is stopping.
    """
    title = title or " ".join(words[:2])
    if is_stopping():
        raise StoppedError(f"{title}: not started, the flow is stopping")
    command = _start(words, cwd, env, held)
    try:
        last = _follow(command, on_lines)
        status = command.wait()
    except BaseException:
        _let_go(command)
        command.wait()
        raise
    finally:
        _running.discard(command)
        _close(command)
    if status and is_stopping():
        raise StoppedError(f"{title}: ended, the flow is stopping")
    if status:
        raise StageFailedError(title, status, last)
    return last


def read_command(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, may_fail: bool = False
) -> str:
    """Standard output of a short command; empty if it fails and may do so.

    Raises:
        StageFailedError: the exit status is not 0.
    """
    done = subprocess.run(words, cwd=cwd, env=env or environment(), capture_output=True, text=True)
    if done.returncode and may_fail:
        return ""
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        raise StageFailedError(" ".join(words[:3]), done.returncode, lines[-LINES_KEPT:])
    return done.stdout


def _start(words: Sequence[str], cwd: Path, env: Mapping[str, str], held: Sequence[int]) -> subprocess.Popen[bytes]:
    command = subprocess.Popen(
        [sys.executable, "-I", str(SUPERVISOR), *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,  # a signal to our group does not reach it: the pipe ends it
        pass_fds=held,
    )
    _running.add(command)
    if is_stopping():  # `stop_all` ran between the question and the start
        _let_go(command)
    return command


def _follow(command: subprocess.Popen[bytes], on_lines: OnLines) -> list[str]:
    assert command.stdout is not None
    last: deque[str] = deque(maxlen=LINES_KEPT)
    rest = b""
    for chunk in _chunks(command.stdout.fileno()):
        *whole, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        lines = [line.decode(errors="replace") for line in whole if line.strip()]
        last.extend(lines)
        if lines:
            on_lines(lines)
    if rest.strip():
        last.append(rest.decode(errors="replace"))
        on_lines([last[-1]])
    return list(last)


def _chunks(descriptor: int) -> Iterator[bytes]:
    """What comes through the pipe, gathered over a moment, until its other end is closed."""
    while gathered := os.read(descriptor, 1 << 16):
        deadline = time.monotonic() + SECONDS_BETWEEN_BATCHES
        while (left := deadline - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
            if not (chunk := os.read(descriptor, 1 << 16)):
                break
            gathered += chunk
        yield gathered


def _let_go(command: subprocess.Popen[bytes]) -> None:
    """Closes the pipe that keeps the command alive; its supervisor does the rest."""
    if command.stdin is not None:
        with contextlib.suppress(OSError):
            command.stdin.close()


def _close(command: subprocess.Popen[bytes]) -> None:
    for stream in (command.stdin, command.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
