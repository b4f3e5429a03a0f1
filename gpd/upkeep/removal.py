"""How a folder goes: by name in one step, then file by file."""

import os
import shutil
from pathlib import Path


def remove(path: Path) -> None:
    """A file, a link, or a folder with all in it.

    A folder takes the name of a leftover first. So a stop in between leaves no half of it for a whole one, and the next
    `gpd clean` removes the rest.

    Raises:
        OSError: it cannot be renamed; it is whole.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    doomed = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
