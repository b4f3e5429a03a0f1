"""DVC's list of the paths in use, .dvc/tmp/rwlock.

A dvc that is killed as it writes the list leaves it empty or cut off: from then on every dvc command in the tree fails.
"""

import json
from pathlib import Path

from flows import locks

FOLDER = Path(".dvc") / "tmp"


def mend(tree: Path) -> None:
    """Removes a list that is no JSON; DVC begins a new one.

    Whoever writes it holds the lock beside it. We hold that now, so whoever left the list like this is gone.
    """
    listed = tree / FOLDER / "rwlock"
    if not listed.exists():
        return
    with locks.locked(listed.with_name("rwlock.lock")):
        try:
            json.loads(listed.read_bytes())
        except FileNotFoundError:
            return
        except ValueError:
            listed.unlink()
