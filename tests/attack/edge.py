"""The file system's edge (edge.c) in this process: any call of libc below a folder can fail, or be the last."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("edge.c")
FATAL = -1  # instead of an errno: SIGKILL before the call
LIBRARY = "GPD_ATTACK_EDGE"


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


def calls_made() -> int:
    """By the process that was armed last."""
    return int(_library().edge_made())


def place() -> str:
    """The call that failed, and its path if it has one."""
    library = _library()
    library.edge_place.restype = ctypes.c_char_p
    return str(library.edge_place().decode(errors="replace")).strip()


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(os.environ[LIBRARY])
