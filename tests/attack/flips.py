"""One bit in each file of a finished pipeline flips, time stamps kept: all are named, and brought back to the bit.

Of a copy of the workspace `--of`; the copy's cache of DVC and its repository stay whole.
"""

import contextlib
import io
import os
import random
import re
import shutil
from collections import Counter
from pathlib import Path

from gpd.artifacts import WORK, hash_file
from gpd.params import load_params
from gpd.registry.engine import DEFAULT
from gpd.upkeep import verify
from gpd.upkeep.cache import Cache
from gpd.upkeep.expected import Expected, collect
from tests.attack.campaign import Campaign, Result

TOLD = "rounds of one flipped bit in each file of a finished pipeline; `gpd verify --repair` names and restores all"
NUM_ROUNDS = 8
GOOD = RESTORED, REMOVED, NO_COPY = (
    "named, restored",
    "named, removed: the next run makes it again",
    "named, in no record of DVC",
)
NOT_COPIED = (".venv", "tests", "docs", ".hypothesis", ".pytest_cache")


def run(campaign: Campaign, folder: Path) -> str:
    place = folder / "workspace"
    shutil.copytree(campaign.of, place, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    campaign.run((f"{number:02d}" for number in range(NUM_ROUNDS)), lambda case: attack(place, case, campaign.seed))
    return TOLD


def attack(place: Path, case: str, seed: int) -> Result:
    """A round."""
    with contextlib.chdir(place):
        expected = collect(load_params().model.path, Cache())
        return _round(expected, random.Random(f"{seed}:{case}"))


def _round(expected: Expected, draw: random.Random) -> Result:
    """In all files at once that `gpd verify` compares, the documents that vouch for others among them.

    The registry is not: its rows are a view of these documents.
    """
    assert not expected.broken, expected.broken
    files = sorted((expected.digests.keys() | expected.sealed) - {Path(DEFAULT)})
    before = {path: hash_file(path) for path in files if path.is_file() and path.stat().st_size}
    for path in before:
        flip(path, draw)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        verify.run(load_params(), [], is_repairing=True)
    named = set(re.findall(r"^repair: (.*?): ", said.getvalue(), re.MULTILINE))
    found = {path: _judge(path, digest, str(path) in named, expected) for path, digest in before.items()}
    for path in found:
        if expected.md5(path) is None and path.is_file() and hash_file(path) != before[path]:
            path.unlink()  # no copy is known: not part of the next round
    counts = Counter(found.values())
    wrong = [f"{path}: {outcome}" for path, outcome in found.items() if outcome not in GOOD]
    return Result("rounds with a defect" if wrong else "rounds", "; ".join(wrong[:5]), {"flips": len(found), **counts})


def _judge(path: Path, digest: str, is_named: bool, expected: Expected) -> str:
    if not is_named:
        return "not named"
    if path.is_file() and hash_file(path) == digest:
        return RESTORED
    if path.is_relative_to(WORK) and not path.exists():
        return REMOVED
    return NO_COPY if expected.md5(path) is None else "not restored"


def flip(path: Path, draw: random.Random) -> None:
    """One bit, under the old time stamps."""
    known = path.stat()
    with path.open("r+b") as file:
        place = draw.randrange(known.st_size)
        file.seek(place)
        (value,) = file.read(1)
        file.seek(place)
        file.write(bytes([value ^ 1 << draw.randrange(8)]))
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
