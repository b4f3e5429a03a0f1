"""`gpd verify`: everything that a pipeline holds against its digests. Time stamps are not looked at."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gpd.artifacts import CHECKED_AT_ONCE, UserError
from gpd.params import Params
from gpd.registry.engine import DEFAULT
from gpd.upkeep.cache import Cache, digests_of
from gpd.upkeep.expected import LOCK, Digest, Expected, collect
from gpd.upkeep.repair import repair

DAMAGED = 1  # exit status
NEWER = f"newer than {LOCK}"


@dataclass(frozen=True)
class Checked:
    """A file: `wrong` is empty if it is whole; `note` says what is no damage and yet worth knowing."""

    path: Path
    source: str
    wrong: str = ""
    note: str = ""


def run(params: Params, paths: Sequence[Path], is_repairing: bool) -> int:
    """Checks what lies at the given paths, or everything, prints it and returns the exit status: 1 if damage is left.

    Raises:
        UserError: nothing is known of a path.
    """
    cache = Cache()
    expected, checked = _look(params, cache, paths)
    for given in paths:
        if not any(_is_at(one.path, [given]) for one in checked):
            raise UserError(f"verify: {given}: no manifest, evaluation, train state or output of {LOCK} names it")
    wrong = [one for one in checked if one.wrong]
    tried: set[Path] = set()
    while is_repairing and (new := [one.path for one in wrong if one.path not in tried]):
        for path in new:
            print(f"repair: {repair(path, expected, cache)}")
        tried.update(new)
        # a manifest that came back names files that could not be checked before
        expected, checked = _look(params, cache, paths)
        wrong = [one for one in checked if one.wrong]
    show(checked)
    return DAMAGED if wrong else 0


def _look(params: Params, cache: Cache, paths: Sequence[Path]) -> tuple[Expected, list[Checked]]:
    expected = collect(params.model.path, cache)
    known = sorted(path for path in expected.digests.keys() | expected.broken.keys() | expected.sealed)
    with ThreadPoolExecutor(CHECKED_AT_ONCE) as threads:
        found = list(threads.map(lambda path: _check(path, expected), (one for one in known if _is_at(one, paths))))
    registry = Path(DEFAULT)
    return expected, [*found, *(check_registry(registry) if _is_at(registry, paths) else ())]


def _is_at(path: Path, places: Sequence[Path]) -> bool:
    """Whether it is one of these files or lies in one of these folders; without any it is."""
    return not places or any(path.absolute().is_relative_to(place.absolute()) for place in places)


def _check(path: Path, expected: Expected) -> Checked:
    if path in expected.broken:
        return Checked(path, "its own seal", expected.broken[path])
    if path in expected.digests:
        return _compare(path, expected.digests[path], path in expected.sealed)
    return Checked(path, "its own seal")


def _compare(path: Path, digests: list[Digest], is_sealed: bool) -> Checked:
    """A file that its manifest or seal vouches for is no damaged one if only dvc.lock has another: it is newer."""
    sources = ", ".join(dict.fromkeys(digest.source for digest in digests))
    if not path.is_file():
        return Checked(path, sources, "missing")
    found = digests_of(path, {digest.algorithm for digest in digests})
    differing = [digest for digest in digests if found[digest.algorithm] != digest.value]
    is_vouched_for = is_sealed or any(digest.algorithm == "sha256" for digest in digests)
    if is_vouched_for and all(digest.algorithm == "md5" for digest in differing):
        return Checked(path, sources, note=NEWER if differing else "")
    first = next((digest for digest in differing if digest.algorithm == "sha256"), differing[0] if differing else None)
    if first is None:
        return Checked(path, sources)
    has = f"{first.algorithm} {found[first.algorithm]}, expected {first.value}"
    return Checked(path, sources, f"{has} ({first.source})")


def check_registry(path: Path) -> Iterator[Checked]:
    """SQLite's own check of its pages and indices; if they are well-formed, that of the rows."""
    if not path.is_file():
        return
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        yield Checked(path, "SQLite", " ".join(found.split()))
    else:
        yield _check_rows(path)


def _check_rows(path: Path) -> Checked:
    from gpd.registry import check_rows, open_registry

    try:
        with open_registry(str(path)) as session:
            wrong = list(dict.fromkeys(map(str, check_rows(session))))
    except UserError as error:  # of another version, or held by another process
        return Checked(path, "its rows", note=str(error))
    more = f", and {len(wrong) - 3} more (`gpd registry verify`)" if len(wrong) > 3 else ""
    return Checked(path, "its rows", "; ".join(wrong[:3]) + more)


def show(checked: Sequence[Checked]) -> None:
    """A line for each folder, then one for each file that is damaged."""
    folders = Counter(one.path.parent for one in checked)
    damaged = Counter(one.path.parent for one in checked if one.wrong)
    newer = Counter(one.path.parent for one in checked if one.note == NEWER)
    width = max((len(str(folder)) for folder in folders), default=0)
    for folder, number in folders.items():
        state = f"{damaged[folder]} damaged" if damaged[folder] else "ok"
        also = f" ({newer[folder]} {NEWER})" if newer[folder] else ""
        print(f"{folder!s:{width}}  {number:5} files  {state}{also}")
    for one in checked:
        if one.wrong:
            print(f"damaged: {one.path}: {one.wrong}")
        elif one.note not in ("", NEWER):
            print(f"not checked: {one.path}: {one.note}")
    print(f"verify: {len(checked)} files, {sum(damaged.values())} damaged")
