"""Brings a damaged file back from wherever its bytes still are; else says what makes it again."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from gpd import documents
from gpd.artifacts import WORK, UserError, replace_file
from gpd.data.occupied import is_held, work_lock
from gpd.params import load_params
from gpd.stages import Stages, load_stages, makers
from gpd.upkeep.cache import Cache, digests_of
from gpd.upkeep.expected import Digest, Expected, is_sealed
from gpd.upkeep.removal import remove

Write = Callable[[Path], bool]  # fills a new file; false if it has nothing to give


def repair(path: Path, expected: Expected, cache: Cache) -> str:
    """Puts the file back; what is put in its place has its digests. Returns one line on what was done."""
    if path.is_relative_to(WORK):
        return f"{path}: {_give_up(path)}"
    md5 = expected.md5(path)
    dropped = md5 is not None and cache.drop_damaged(md5)
    for name, write in _sources(path, expected, cache):
        if _replace(path, write, expected.digests.get(path, [])):
            return f"{path}: restored from {name}"
    also = " (DVC's cache had the same damage; its file is removed)" if dropped else ""
    return f"{path}: cannot be restored{also}; {_advice(path)}"


def _sources(path: Path, expected: Expected, cache: Cache) -> Iterator[tuple[str, Write]]:
    md5 = expected.md5(path)
    if md5 is not None:
        yield "DVC's cache", lambda new: _copy(cache.place(md5), new)
        if not cache.place(md5).is_file():
            cache.fetch(_outputs_around(path))
            yield "DVC's remote", lambda new: _copy(cache.place(md5), new)
    for twin in _twins(path, expected):
        yield str(twin), lambda new, twin=twin: _copy(twin, new)  # type: ignore[misc]
    yield "git", lambda new: _from_git(path, new)


def _replace(path: Path, write: Write, digests: list[Digest]) -> bool:
    """Whether there was something to write that has one of the strongest digests; nothing else takes the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if not write(new):
            return False
        if not _is_right(new, digests):
            return False
        replace_file(new, path)
        return True
    finally:
        new.unlink(missing_ok=True)


def _is_right(new: Path, digests: list[Digest]) -> bool:
    """By SHA-256 if there is one, else by MD5; a document that no digest is known of by its own seal."""
    if not digests:
        with contextlib.suppress(UserError, ValueError):
            documents.load_json(new, "")
            return is_sealed(new)
        return False
    strong = [digest for digest in digests if digest.algorithm == "sha256"] or digests
    found = digests_of(new, {digest.algorithm for digest in strong})
    return all(found[digest.algorithm] == digest.value for digest in strong)


def _copy(source: Path, new: Path) -> bool:
    if not source.is_file():
        return False
    shutil.copyfile(source, new)
    return True


def _twins(path: Path, expected: Expected) -> Iterator[Path]:
    """Other files of the same digest: a student has its base model's text encoder and VAE."""
    wanted = {(digest.algorithm, digest.value) for digest in expected.digests.get(path, [])}
    for other, digests in expected.digests.items():
        if other != path and any((digest.algorithm, digest.value) in wanted for digest in digests):
            yield other


def _from_git(path: Path, new: Path) -> bool:
    """As the last commit has it; the object's name begins with neither a dash nor a path of this machine."""
    if path.is_absolute():
        return False
    with new.open("wb") as file:
        words = ["git", "show", f"HEAD:./{path.as_posix()}"]
        return subprocess.run(words, stdout=file, stderr=subprocess.DEVNULL).returncode == 0


def _outputs_around(path: Path) -> list[str]:
    return [out for stage in _stages().values() for out in stage.outs if path.is_relative_to(out)]


def _stages() -> Stages:
    try:
        return load_stages(Path(), load_params().model_dump())
    except UserError:
        return {}


def _advice(path: Path) -> str:
    """Which stage makes it; DVC may take it for up to date, since it goes by time stamps."""
    stages = makers(path.as_posix(), _stages())
    if stages:
        return f"run `dvc repro --force --single-item {stages[0]}`"
    if path.name == "registry.db":
        return (
            "if rows are damaged, `gpd registry sync` records them again; else move it away and sync, then "
            "`gpd registry import` for aliases and remarks"
        )
    return "put it back from where it came"


def _give_up(path: Path) -> str:
    """Unfinished work and what is kept for speed: the next run makes it again. Of a train state nothing is left."""
    room, *below = path.relative_to(WORK).parts
    if room == "distill" and below:
        state = WORK / room / below[0]
        if is_held(work_lock(state)):
            return "in use; nothing is removed"
        remove(state)
        return f"{state} is removed; the stage starts anew"
    path.unlink(missing_ok=True)
    return "removed; the next run makes it again"
