"""A command of the miniature that is disturbed, and then given again: what it left, and what it ends with."""

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from gpd import documents
from gpd.artifacts import MANIFEST, UserError, hash_file
from tests.attack import miniature
from tests.attack.campaign import Result
from tests.attack.command import Ended
from tests.attack.miniature import REGISTRY, Miniature, Step

LEFTOVERS = (".*.partial", ".*.old")
NO_STATE = ("runs", "locks")  # of .work: when, and by which process
PROCESS = r"\.\d+\.(?=partial|old)"


Known = dict[tuple[str, str], str]  # a step and the state of a workspace -> the defect of its run from there, or ""


def recovers(
    made: Miniature,
    step: Step,
    folder: Path,
    disturb: Callable[[Path], Ended | None],
    *,
    is_there: bool,
    known: Known | None = None,
) -> Result:
    """Disturbs a step in a copy of the workspace and runs it again.

    Args:
        disturb: runs the step's command in a folder; None if it was killed.
        is_there: whether the step's output is there already, from a run before.
        known: states from which the command was given again before; it is not given a second time from the same one.
    """
    before = made.after(step) if is_there else made.before[step.name]
    shutil.rmtree(folder, ignore_errors=True)
    miniature.copy(before, folder)
    try:
        ended = disturb(folder)
        told = _told(ended) if ended else ""
        if defect := told or _half_written(folder, step, made, is_there):
            return Result("lost", defect)
        was = "killed" if ended is None else "ended well" if ended.code == 0 else "failed"
        found = (step.name, state_of(folder))
        known, is_known = ({}, False) if known is None else (known, found in known)
        if not is_known:
            known[found] = _again(made, step, folder)
        beside = {"from a state that was known": 1} if is_known else {}
        if known[found]:
            return Result("lost", f"{was}, then again: {known[found]}", beside)
        return Result(f"{was}, recovered", beside=beside)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def state_of(folder: Path) -> str:
    """A digest of all that a workspace holds, but for its run records, and for names and notes of processes."""
    state = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.parent.name not in NO_STATE):
        name = re.sub(PROCESS, ".*.", path.relative_to(folder).as_posix())
        content = path.readlink() if path.is_symlink() else "folder" if path.is_dir() else hash_file(path)
        state.update(f"{name}\0{content}\n".encode())
    return state.hexdigest()


def _again(made: Miniature, step: Step, folder: Path) -> str:
    """What is wrong with how the command, given again, ends."""
    again = made.run(step, folder)
    if again.code != 0:
        return f"{again.code}: {again.said[-600:]}"
    if different := differences(miniature.digests(folder, step), made.expected[step.name]):
        return f"other than without it: {different}"
    left = [path.name for pattern in LEFTOVERS for path in (folder / "data").rglob(pattern)]
    return f"{left[0]} is left" if left else ""


def _told(ended: Ended) -> str:
    """What is wrong with how a command that met a fault has ended."""
    if ended.code == 0:
        return ""
    lines = ended.said.strip().splitlines()
    if ended.code < 0 or "Traceback" in ended.said or not lines or not lines[-1].startswith("gpd: "):
        return f"exit status {ended.code}, not one line: {ended.said[-900:]}"
    return ""


def _half_written(folder: Path, step: Step, made: Miniature, is_there: bool) -> str:
    """Whether an output is neither what it was nor what it shall be."""
    if step.outs == (REGISTRY,):
        return _unreadable(folder)
    with _put_back(folder, step):
        found = {name: digest for name, digest in miniature.digests(folder, step).items() if not _is_partial(name)}
    if found == made.expected[step.name]:
        return ""
    if step.words == ("ablate",):
        return _unsealed(folder / step.outs[0] / "results.json")  # of fewer seeds, if a run has failed: whole, too
    if is_there and not step.name.startswith("evaluate"):  # which has several outputs, one of them a folder
        return f"the output that was there is not: {differences(found, made.expected[step.name])}"
    for manifest in sorted(path for out in step.outs for path in (folder / out).rglob(MANIFEST)):
        try:
            if wrong := documents.verify(manifest.parent):
                return f"{manifest.parent.name}: {wrong[0]}"
        except UserError as error:
            return str(error)
    wrong = differences(found, made.expected[step.name], only_found=True)
    return f"half-written: {wrong}" if wrong else ""


@contextlib.contextmanager
def _put_back(folder: Path, step: Step) -> Iterator[None]:
    """Every reader puts an old output back that has stepped aside while no new one has come (`artifacts.restore`)."""
    places = [folder / out for out in step.outs]
    moved = {place.with_name(f".{place.name}.old"): place for place in places if not place.exists()}
    moved = {aside: place for aside, place in moved.items() if aside.is_dir()}
    for aside, place in moved.items():
        aside.rename(place)
    yield
    for aside, place in moved.items():
        place.rename(aside)


def _is_partial(name: str) -> bool:
    """Nobody reads what has not taken its name; the same command has to remove it (`_again`)."""
    return Path(name).name.startswith(".") and name.endswith(".partial")


def _unsealed(results: Path) -> str:
    try:
        if results.exists():
            documents.load_document(documents.AblationResults, results, "")
    except UserError as error:
        return str(error)
    return ""


def _unreadable(folder: Path) -> str:
    import sqlite3

    if not (folder / REGISTRY).exists():
        return ""
    with sqlite3.connect(folder / REGISTRY) as connection:
        (word,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return "" if word == "ok" else f"registry: {word}"


def differences(found: dict[str, str], expected: dict[str, str], *, only_found: bool = False) -> str:
    """Names that differ, in a few words; with `only_found` a missing one is no difference."""
    names = found if only_found else found | expected
    wrong = [name for name in sorted(names) if found.get(name) != expected.get(name)]
    return f"{len(wrong)} of {len(names)}: {', '.join(wrong[:3])}" if wrong else ""
