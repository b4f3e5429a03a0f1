"""Files that a document names: of its own folder, and no others."""

import re
from pathlib import Path

from gpd.artifacts import UserError

_OF_DVC = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")  # where DVC's cache keeps a file that is a link outside


def path_inside(folder: Path, name: str) -> Path:
    """The path of a file of `folder`, which need not be there.

    Raises:
        UserError: the name is absolute, leads to a parent or holds a control character, or what lies there is a link
            out of the folder that DVC has not made.
    """
    path, is_plain = folder / name, name.isprintable() and not Path(name).is_absolute()
    if not is_plain or ".." in Path(name).parts or path == folder or not _stays(folder, path):
        raise UserError(f"{folder}: file={name!r:.80} is not a file of this folder")
    return path


def _stays(folder: Path, path: Path) -> bool:
    try:
        real = path.resolve()
        return real.is_relative_to(folder.resolve()) or bool(_OF_DVC.search(real.as_posix()))
    except (OSError, RuntimeError):  # a circle of links
        return False
