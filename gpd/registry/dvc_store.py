"""A folder by its content out of DVC's cache, or out of a remote that is a folder of this machine.

    files/md5/ab/cdef..        a file, by the MD5 of its bytes
    files/md5/ab/cdef...dir    a folder: [{"md5", "relpath"}, ..]

The layout is documented, so that it is read here: `dvc checkout` brings only what the dvc.lock of the present commit
names, to the place that is named there, and takes seconds to start. A checkpoint may be of another commit, of
`dvc exp run`, or of a flow's tree, which shares the cache.
"""

import configparser
import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import BaseModel, StringConstraints, TypeAdapter, ValidationError

from gpd.artifacts import MANIFEST, WORK, UserError, hash_files, list_files, replacing
from gpd.documents import load_json, parse_manifest
from gpd.documents.inside import path_inside

OBJECTS = Path("files/md5")
CHECKPOINTS = WORK / "checkpoints"


class Entry(BaseModel):
    """A file of a folder that DVC keeps."""

    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    relpath: str


ENTRIES = TypeAdapter(list[Entry])
Kept = dict[str, Path]  # relative path in the folder -> the file in which DVC keeps its bytes


def check_out(content: str, workspace: Path, md5s: Sequence[str] = ()) -> Path | None:
    """The folder of this content below .work/checkpoints, made from what DVC keeps; None if some of it is missing.

    Its files are hard links, which cost no space and are read-only, or copies on another file system.

    Args:
        md5s: by which DVC may keep the folder; found without them too.

    Raises:
        UserError: the bytes that DVC keeps are not those of the content.
    """
    folder = workspace / CHECKPOINTS / content
    stores = list(find_stores(workspace))
    kept = next((files for files in _folders(stores, md5s) if _content_of(files) == content), None)
    if kept is None:
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / MANIFEST).is_file():  # made while we waited
            _publish(kept, folder, content)
    return folder


def find_stores(workspace: Path) -> Iterator[Path]:
    """The cache of a workspace, then its remotes; only those that are folders here."""
    home, config = workspace / ".dvc", read_config(workspace)
    places = [config.get("cache", "dir", fallback="cache"), *remotes(config).values()]
    yield from (home / place for place in dict.fromkeys(places) if (home / place / OBJECTS).is_dir())


def read_config(workspace: Path) -> configparser.ConfigParser:
    """DVC's configuration of a workspace; empty if there is none or it cannot be read."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        config.read([workspace / ".dvc/config", workspace / ".dvc/config.local"], encoding="utf-8")
    return config


def remotes(config: configparser.ConfigParser) -> dict[str, str]:
    """The address of each remote by its name; a section is 'remote "NAME"', quotes and all."""
    named = {section.strip("'").removeprefix("remote ").strip('"'): section for section in config.sections()}
    return {name: config[section].get("url", "") for name, section in named.items() if "remote " in section}


def _folders(stores: list[Path], md5s: Sequence[str]) -> Iterator[Kept]:
    """Every folder that is kept whole, those of these MD5s first."""
    first = [_object(store, md5) for store in stores for md5 in md5s]
    for listing in [*first, *(path for store in stores for path in sorted((store / OBJECTS).glob("*/*.dir")))]:
        with contextlib.suppress(OSError, ValidationError):
            places = {entry.relpath: _find(stores, entry.md5) for entry in ENTRIES.validate_json(listing.read_bytes())}
            kept = {name: path for name, path in places.items() if path is not None}
            if MANIFEST in kept and len(kept) == len(places):
                yield kept


def _find(stores: list[Path], md5: str) -> Path | None:
    return next((path for store in stores if (path := _object(store, md5)).is_file()), None)


def _object(store: Path, md5: str) -> Path:
    return store / OBJECTS / md5[:2] / md5[2:]


def _content_of(kept: Kept) -> str | None:
    path = kept[MANIFEST]
    with contextlib.suppress(UserError, OSError):
        return str(parse_manifest(load_json(path, ""), path).content)
    return None


def _publish(kept: Kept, folder: Path, content: str) -> None:
    with replacing(folder) as partial:
        for name, source in kept.items():
            path = path_inside(partial, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            _link(source, path)
        if (found := hash_files(list_files(partial))) != content:
            raise UserError(f"{content:.12}: DVC keeps other bytes under this manifest ({found:.12})")


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, path)
