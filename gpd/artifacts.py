"""Files and folders that can be trusted: content hashes, whole-or-nothing writes.

How a folder NAME is replaced, so that old or new is there whatever moment the machine dies in:

    .NAME.HOST.PID.partial   the new one grows; then its bytes are flushed to the disk
    NAME -> .NAME.old        the old one steps aside, whole
    .. .partial -> NAME      the new one takes the name; then the old one goes

A missing NAME beside a `.NAME.old` is put back by whoever publishes or reads there next; what processes that are gone
have left is removed by whoever publishes there next.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
SIGNATURE = "model.sig"  # of a release: over all of its files and the manifest
WORK = Path(".work")  # untracked: resume states, run records
SETTLED_NS = 2_000_000_000
LARGE = 2**28  # bytes, .2 s of hashing
CHECKED_AT_ONCE = 8  # weights of 57 GB lie in twelve files
REPAIR = "`gpd verify --repair` restores what can be restored"


class UserError(Exception):
    """A mistake of the user's, in one line that names key, file and value. Its exit status, no traceback."""

    status = 2


class NotFoundError(UserError):
    """Nothing is called so. A script that has asked whether there is such a thing can tell this from a mistake."""

    status = 3


class DamagedError(UserError):
    """A file whose bytes are not those that were written. Nothing is computed from it."""


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_once(path: Path) -> str:
    """`hash_file`, but a file is read once in a process, unless somebody writes to it meanwhile.

    What is remembered goes by the time of the last change of the inode as well, which no program can set back. It is
    kept in ticks of the clock: a file that was changed a moment ago may be changed again at the same time.
    """
    known = path.stat()
    key = (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns)
    if key in _hashed:
        return _hashed[key]
    is_settled = time.time_ns() - known.st_ctime_ns > SETTLED_NS
    found = hash_file(path)
    if is_settled:
        _hashed[key] = found
    return found


def check_file(path: Path, sha256: str) -> None:
    """Compares a file with its digest before it is used (`hash_once`).

    Raises:
        DamagedError: the file is missing or differs; it names both digests.
    """
    try:
        found = hash_once(path)
    except FileNotFoundError:
        found = "missing"
    if found != sha256:
        raise damaged(path, found, sha256)


def check_beside(path: Path, sha256: str) -> None:
    """`check_file` of a large file in a thread, while it is loaded and used; of any other at once.

    What is found is raised by `confirm`, at the latest before anything takes its name on the disk.

    Raises:
        DamagedError: as `check_file`, if the file is small or missing.
    """
    if not path.is_file() or path.stat().st_size < LARGE:
        check_file(path, sha256)
        return
    begun: Future[None] = Future()
    threading.Thread(target=_check_into, args=(begun, path, sha256), daemon=True).start()  # the end waits for none
    _begun.append(begun)


def forget_checks() -> None:
    """Of a command that has failed: what it has computed is not published, and whoever ends it does not wait."""
    _begun.clear()


def _check_into(begun: Future[None], path: Path, sha256: str) -> None:
    try:
        with _hashing:
            check_file(path, sha256)
    except BaseException as error:  # noqa: BLE001 - whoever asks raises it
        begun.set_exception(error)
    else:
        begun.set_result(None)


def confirm() -> None:
    """Waits for the checks that `check_beside` has begun.

    Raises:
        DamagedError: a file that was loaded meanwhile is not what it was.
    """
    waited = list(_begun)
    try:
        for begun in waited:
            begun.result()
    finally:
        for begun in waited:
            with contextlib.suppress(ValueError):  # another thread waited for it, too
                _begun.remove(begun)


def damaged(path: Path, found: str, wanted: str) -> DamagedError:
    """The error of a file whose digest is `found` where `wanted` was written."""
    told = wanted if wanted.isprintable() else ascii(wanted)  # it comes from the file
    return DamagedError(f"{path}: damaged: its SHA-256 is {found}, expected {told}; {REPAIR}")


_hashed: dict[tuple[int, ...], str] = {}
_begun: list[Future[None]] = []
_hashing = threading.BoundedSemaphore(CHECKED_AT_ONCE)


def hash_json(value: Any) -> str:
    """SHA-256 of a JSON value; equal values have equal hashes whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def list_files(folder: Path, hashing: Callable[[Path], str] = hash_file) -> dict[str, dict[str, Any]]:
    """Every file below `folder` but the manifest and a signature: relative path -> {sha256, size in bytes}."""
    apart = (folder / MANIFEST, folder / SIGNATURE)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path not in apart)
    return {
        path.relative_to(folder).as_posix(): {"sha256": hashing(path), "size": path.stat().st_size} for path in paths
    }


def hash_files(files: dict[str, dict[str, Any]]) -> str:
    """The content hash of a folder: of the names and hashes of its files."""
    return hash_json({name: entry["sha256"] for name, entry in files.items()})


def write_text(path: Path, text: str) -> None:
    """Writes a file whole: a reader sees the old bytes or the new, never a part, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        replace_file(partial, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from None  # a full disk names no file
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Indented JSON with a final newline, written whole. Not-a-number is an error, not a token."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def replace_file(finished: Path, path: Path) -> None:
    """Renames a finished file of the same folder to `path`; its bytes and its name are on the disk afterwards.

    Raises:
        DamagedError: what was loaded before is damaged (`check_beside`).
    """
    confirm()
    flush(finished)
    os.replace(finished, path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Has the bytes of a file, or the names in a folder, on the disk before it returns (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems flush no folders
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Raises what safetensors says of the disk as the OSError that it was, with a path.

    Its errors are of a class of their own, with the number in the text alone: "I/O error: .. (os error 28)".
    """
    try:
        yield
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None or isinstance(error, OSError):
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def flush_tree(folder: Path) -> None:
    """Has all that a folder holds on the disk."""
    for above, _, names in os.walk(folder):
        for name in names:
            if (path := Path(above) / name).is_file():
                flush(path)
        flush(Path(above))


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `folder` when the block ends well, else it is removed.

    The old folder stays as it was until the new one is complete.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder.parent):
        _repair(folder)
    partial = _partial(folder)
    _remove(partial)
    partial.mkdir()
    try:
        with system_errors(folder):
            yield partial
        move_into_place(partial, folder)
    finally:
        _remove(partial)


def move_into_place(finished: Path, folder: Path) -> None:
    """Renames a finished folder to `folder`, replacing what is there.

    From another file system it is copied beside `folder` first, and the old folder stays where it is meanwhile.

    Raises:
        OSError: `folder` is the old one or the new one, and the old one as long as `finished` is there.
        DamagedError: what was loaded before is damaged (`check_beside`).
    """
    confirm()
    folder.parent.mkdir(parents=True, exist_ok=True)
    flush_tree(finished)
    with _one_at_a_time(folder.parent):
        _repair(folder)
        try:
            finished.rename(folder)  # moves nothing if `folder` holds something
        except OSError as error:
            if error.errno == errno.EXDEV:
                _copy_into_place(finished, folder)
            elif error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                _swap(finished, folder)
            else:
                raise
        flush(folder.parent)


def restore(folder: Path) -> None:
    """Puts the old folder back if a process died after it had stepped aside and before the new one came."""
    if not os.path.lexists(folder) and _aside(folder).exists():
        with _one_at_a_time(folder.parent):
            _put_back(folder)


def _copy_into_place(finished: Path, folder: Path) -> None:
    partial = _partial(folder)
    _remove(partial)
    try:
        shutil.copytree(finished, partial, symlinks=True)
        flush_tree(partial)
        _swap(partial, folder)
    finally:
        _remove(partial)
    _discard(finished, _partial(finished))
    _clear(finished)


def _swap(finished: Path, folder: Path) -> None:
    """The two renames, on one file system."""
    if os.path.lexists(folder):
        folder.rename(_aside(folder))
    try:
        finished.rename(folder)
    except BaseException:
        _put_back(folder)
        raise
    flush(folder.parent)
    _remove_aside(folder)


def _repair(folder: Path) -> None:
    """Makes good what processes that are gone have left beside `folder`."""
    _put_back(folder)
    _remove_aside(folder)
    _clear(folder)


def _put_back(folder: Path) -> None:
    if _aside(folder).exists() and not os.path.lexists(folder):
        _aside(folder).rename(folder)


def _remove_aside(folder: Path) -> None:
    _discard(_aside(folder), folder.with_name(f".{folder.name}.{os.uname().nodename}.{os.getpid()}.old"))


def _discard(folder: Path, doomed: Path) -> None:
    """Removes a folder under another name, so that it is whole whenever it is there under its own."""
    _remove(doomed)
    if os.path.lexists(folder):
        with contextlib.suppress(OSError):  # the next one who publishes there tries again
            folder.rename(doomed)
        _remove(doomed)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{os.uname().nodename}.{os.getpid()}.partial")


def _clear(folder: Path) -> None:
    """Removes what dead processes of this host have left; of another host's nobody here can say that they are dead.

    An earlier version named the old folder `.NAME.PID.old`: as long as there is no other it stays.
    """
    form = re.compile(rf"\.{re.escape(folder.name)}\.(?:{re.escape(os.uname().nodename)}\.)?(\d+)\.(?:partial|old)")
    for path in folder.parent.iterdir():
        match = form.fullmatch(path.name)
        if match and not _is_running(int(match[1])) and (path.suffix == ".partial" or os.path.lexists(folder)):
            _remove(path)


def is_leftover(path: Path) -> bool:
    """Whether a file or folder was being written or replaced, by a process that does not live on this host.

    The old folder of a replacement, `.NAME.old`, is all there is of NAME until a new one stands beside it.
    """
    if not path.name.startswith(".") or not {".partial", ".old"} & set(path.suffixes):
        return False
    number = re.search(r"\.(\d{1,10})\.(?:partial|old)", path.name)
    if number is None and path.suffix == ".old":
        return os.path.lexists(path.with_name(path.name.removesuffix(".old").removeprefix(".")))
    return number is None or not _is_running(int(number[1]))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _remove(path: Path) -> None:
    """Removes what it can: a leftover does no harm, and the next one who publishes there tries again."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def _one_at_a_time(parent: Path) -> Iterator[None]:
    """Publishes in a folder one after the other; the lock is on the folder itself and goes with its process."""
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
