"""manifest.json beside every artefact: what determines its content, nothing that differs between identical runs."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from pydantic import SerializeAsAny, field_validator

from gpd.artifacts import (
    CHECKED_AT_ONCE,
    MANIFEST,
    UserError,
    check_beside,
    check_file,
    damaged,
    hash_files,
    hash_once,
    list_files,
    restore,
)
from gpd.documents.document import FORMAT, Document, flatten, load_json, parse, write_document
from gpd.documents.facts import Facts

KINDS: dict[str, type[Facts]] = {facts.kind: facts for facts in Facts.__subclasses__()}
WEIGHTS = ".safetensors"  # numbers alone: whatever they are, reading them does no harm
F = TypeVar("F", bound=Facts)


class Identity(Document):
    """How one document names a folder: by kind and content hash."""

    kind: str
    content: str


class File(Document):
    """A file of an artefact."""

    sha256: str
    size: int  # bytes


class Manifest(Document, Generic[F]):
    """What an artefact is.

    Attributes:
        content: of the names and hashes of the files (`artifacts.hash_files`).
        inputs: the folders that went in.
        params: the settings that determined the content, by dotted keys; nested ones of earlier versions are read, too.
    """

    format: int
    kind: str
    content: str
    inputs: dict[str, Identity]
    params: dict[str, Any]
    facts: SerializeAsAny[F]
    files: dict[str, File]

    @field_validator("params")
    @classmethod
    def _by_dotted_keys(cls, params: dict[str, Any]) -> dict[str, Any]:
        return flatten(params)

    @property
    def identity(self) -> Identity:
        """How other documents name the artefact."""
        return Identity(kind=self.kind, content=self.content)

    def check(self, folder: Path, *names: str) -> None:
        """Compares files of the artefact in `folder` with their digests, before they are used; several at a time.

        Raises:
            DamagedError: one differs or is missing.
            UserError: one is none of the artefact's.
        """
        self._own(folder, names)
        with ThreadPoolExecutor(CHECKED_AT_ONCE) as threads:  # hashing lets other threads run
            list(threads.map(lambda name: check_file(folder / name, self.files[name].sha256), names))

    def check_beside(self, folder: Path, *names: str) -> None:
        """`check`, but large files are hashed while they are loaded (`artifacts.check_beside`)."""
        self._own(folder, names)
        for name in names:
            check_beside(folder / name, self.files[name].sha256)

    def _own(self, folder: Path, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.files:
                raise UserError(f"{folder / name}: not a file of {folder / MANIFEST}")


def write_manifest(folder: Path, facts: F, *, inputs: dict[str, Identity], params: dict[str, Any]) -> Manifest[F]:
    """Describes a finished folder in its manifest.json.

    Nothing here may differ between two identical runs: no time, host, path of a machine or commit.
    """
    files = list_files(folder, hash_once)
    manifest = Manifest[F](
        format=FORMAT,
        kind=facts.kind,
        content=hash_files(files),
        inputs=inputs,
        params=params,
        facts=facts,
        files={name: File.model_validate(entry) for name, entry in files.items()},
    )
    write_document(folder / MANIFEST, manifest)
    return manifest


@overload
def load_manifest(folder: Path) -> Manifest[Facts]: ...
@overload
def load_manifest(folder: Path, expected: type[F]) -> Manifest[F]: ...
def load_manifest(folder: Path, expected: type[Facts] | None = None) -> Manifest[Any]:
    """The manifest of a folder.

    Args:
        expected: the facts of the kind that it must be of; any kind if it is left out.

    Raises:
        UserError: there is none, it is not JSON, of another kind, of a newer format or of another form.
        DamagedError: it was changed after it was written.
    """
    path = Path(folder) / MANIFEST
    restore(path.parent)
    raw = load_json(path, f"the DVC stage that writes {folder} has not finished")
    if expected is not None and raw.get("kind") != expected.kind:
        raise UserError(f"{path}: kind is {raw.get('kind')!r}, expected {expected.kind!r}")
    manifest = parse_manifest(raw, path)
    content = hash_files({name: {"sha256": file.sha256} for name, file in manifest.files.items()})
    if content != manifest.content:
        raise damaged(path, content, manifest.content)
    return manifest


def check_files(folder: Path, *names: str) -> None:
    """Compares files with the manifest beside them, before they are used; without one nothing can be said of them."""
    if (folder / MANIFEST).is_file():
        load_manifest(folder).check(folder, *names)


def check_below(folder: Path, part: str) -> None:
    """Compares all that an artefact holds in a folder of its own; a file that is none of its may not lie there.

    Weights are hashed while they are loaded; `artifacts.confirm` raises what is found of them.

    Raises:
        DamagedError: a file differs or is missing.
        UserError: a file is not in the manifest.
    """
    if not (folder / MANIFEST).is_file():
        return
    manifest = load_manifest(folder)
    there = {path.relative_to(folder).as_posix() for path in (folder / part).rglob("[!.]*") if path.is_file()}
    names = sorted(there | {name for name in manifest.files if name.startswith(f"{part}/")})
    manifest.check_beside(folder, *(name for name in names if name.endswith(WEIGHTS)))
    manifest.check(folder, *(name for name in names if not name.endswith(WEIGHTS)))


def parse_manifest(raw: dict[str, Any], path: Path) -> Manifest[Any]:
    """A checked manifest of any kind.

    Raises:
        UserError: naming file, key and value of the first mistake.
    """
    kind = str(raw.get("kind"))
    if kind not in KINDS:
        raise UserError(f"{path}: kind is {kind!r}; there are {', '.join(KINDS)}")
    facts: Any = KINDS[kind]
    return parse(Manifest[facts], raw, path)


def identify(folder: Path) -> Identity:
    """How documents name this folder."""
    return load_manifest(folder).identity


def verify(folder: Path) -> list[str]:
    """What is wrong with a folder against its manifest: one line a file, empty when intact."""
    manifest = load_manifest(folder)
    found = list_files(folder)
    wrong = []
    for name in sorted(manifest.files.keys() | found.keys()):
        if name not in found:
            wrong.append(f"{name}: missing")
        elif name not in manifest.files:
            wrong.append(f"{name}: not in the manifest")
        elif found[name]["sha256"] != manifest.files[name].sha256:
            wrong.append(f"{name}: content changed")
    return wrong
