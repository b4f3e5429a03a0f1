"""The file system's edge (edge.c) in this process: any call of libc below a folder can fail, or be the last."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("edge.c")
FATAL = -1  # instead of an errno: SIGKILL before the call
LIBRARY = "GPD_ATTACK_EDGE"
SYNCS = ("fsync", "fdatasync")


def preload(build: Path) -> None:
    """Starts this Python anew with the edge in front of libc, unless it is there; needs a C compiler."""
    if LIBRARY in os.environ:
        return
    build.mkdir(parents=True, exist_ok=True)
    library = (build / "edge.so").absolute()
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    environment = {**os.environ, LIBRARY: str(library), "LD_PRELOAD": str(library)}
    os.execve(sys.executable, sys.orig_argv, environment)


def arm(folder: Path, number: int, action: int) -> Callable[[], None]:
    """What a forked process calls to have its call of this number below the folder fail with an errno, or be fatal."""
    watched = f"{folder.resolve()}/".encode()
    return lambda: _library().edge_arm(watched, number, action)


@dataclass(frozen=True)
class Call:
    """Attributes:
    words: its name and its path from the folder.
    is_idle: it has changed nothing, as fsync, or mkdir of a folder that is there.
    """

    words: str
    is_idle: bool


def begin() -> None:
    """Of a process that was forked: the calls that it counts are no longer its parent's."""
    _library().edge_begin()


def calls() -> list[Call]:
    """Of the process that was armed last, in order."""
    library = _library()
    words = [_words(number) for number in range(library.edge_made())]
    return [Call(each, each.startswith(SYNCS) or library.edge_idle(n) == 1) for n, each in enumerate(words)]


def place() -> str:
    """The words of the call that failed, or was the last; empty if it was not reached."""
    return _words(_library().edge_met())


def _words(number: int) -> str:
    library = _library()
    library.edge_call.restype = ctypes.c_char_p
    return str(library.edge_call(number).decode(errors="replace"))


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(os.environ[LIBRARY])
