"""What every file of a pipeline must be: digests from manifests, evaluations, train states and dvc.lock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gpd import documents
from gpd.artifacts import MANIFEST, WORK, UserError, hash_json
from gpd.documents import Evaluation
from gpd.documents.document import SEAL
from gpd.documents.inside import path_inside
from gpd.documents.reading import parse_json, parse_yaml
from gpd.upkeep.cache import Cache

LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class Digest:
    """What a file's bytes must hash to, and what says so."""

    algorithm: str  # sha256 or md5
    value: str
    source: str


@dataclass
class Expected:
    """Digests by file, and the documents that vouch for nothing since they cannot be read.

    Attributes:
        sealed: documents whose own seal fits.
        broken: file -> what is wrong with it, in one line.
    """

    digests: dict[Path, list[Digest]] = field(default_factory=dict)
    sealed: set[Path] = field(default_factory=set)
    broken: dict[Path, str] = field(default_factory=dict)

    def add(self, path: Path, algorithm: str, value: str, source: Path | str) -> None:
        """One more digest of a file."""
        self.digests.setdefault(path, []).append(Digest(algorithm, value, str(source)))

    def md5(self, path: Path) -> str | None:
        """By which DVC keeps it; None if dvc.lock names none."""
        return next((digest.value for digest in self.digests.get(path, []) if digest.algorithm == "md5"), None)


def collect(model_path: str, cache: Cache) -> Expected:
    """All of a workspace, which is the working directory."""
    expected = Expected()
    for source in (_manifests(model_path), _evaluations(), _results(), _train_states(), _parts(), _decoded()):
        for path, read in source:
            _try(expected, path, read)
    if LOCK.is_file():
        _try(expected, LOCK, lambda expected, path: _outputs(expected, path, cache))
    return expected


Read = Callable[[Expected, Path], None]
Found = Iterator[tuple[Path, Read]]


def _try(expected: Expected, path: Path, read: Read) -> None:
    try:
        read(expected, path)
    except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
        expected.broken[path] = " ".join(str(error).removeprefix(f"{path}: ").split())


def _visible(pattern: str) -> list[Path]:
    """Sorted; what begins with a dot is still being written."""
    found = sorted(Path().glob(pattern))
    return [path for path in found if not any(part.startswith(".") for part in path.parts if part != str(WORK))]


def is_sealed(path: Path) -> bool:
    """Whether a document says what it must be; those of earlier versions do not."""
    return SEAL in parse_json(path.read_text(encoding="utf-8"))


def _manifests(model_path: str) -> Found:
    paths = [
        Path(model_path, MANIFEST),
        *(path for depth in (1, 2, 3) for path in _visible(f"data/{'*/' * depth}{MANIFEST}")),
    ]
    for path in dict.fromkeys(paths):
        if path.is_file():
            yield path, _manifest


def _manifest(expected: Expected, path: Path) -> None:
    manifest = documents.load_manifest(path.parent)
    if is_sealed(path):
        expected.sealed.add(path)
    for name, file in manifest.files.items():
        expected.add(path.parent / name, "sha256", file.sha256, path)


def _evaluations() -> Found:
    yield from ((path, _evaluation) for path in _visible("data/evaluations/*/evaluation.json"))


def _evaluation(expected: Expected, path: Path) -> None:
    evaluation = documents.load_document(Evaluation, path, f"run `gpd evaluate {path.parent.name}`")
    if is_sealed(path):
        expected.sealed.add(path)
    for name, file in evaluation.files.items():
        expected.add(path.parent / name, "sha256", file.sha256, path)


def _results() -> Found:
    yield from (
        (path, _result) for path in (*_visible("data/ablation/results.json"), *_visible(".work/ablation/*.json"))
    )


def _result(expected: Expected, path: Path) -> None:
    documents.load_json(path, "run `gpd ablate` again")
    if is_sealed(path):
        expected.sealed.add(path)


def _train_states() -> Found:
    yield from ((path, _train_state) for path in _visible(f"{WORK}/distill/*/state.json"))


def _train_state(expected: Expected, path: Path) -> None:
    """As `gpd.distillation.saving.train_state.Marker`, without its tensors' library."""
    marker = documents.load_json(path, "delete its folder")
    if hash_json({key: value for key, value in marker.items() if key != "digest"}) != marker["digest"]:
        raise ValueError("damaged: its digest is not that of its values; delete its folder to start the stage anew")
    expected.sealed.add(path)
    for name, sha256 in marker["files"].items():
        expected.add(path.parent / marker["tag"] / name, "sha256", sha256, path)


def _parts() -> Found:
    yield from (
        (path, _part) for stage in ("encode", "sample") for path in _visible(f"{WORK}/{stage}/*/results/*.json")
    )


def _part(expected: Expected, path: Path) -> None:
    """A finished file of a stage that is not finished."""
    noted = parse_json(path.read_text(encoding="utf-8"))
    expected.add(path.parents[1] / "shards" / path.stem, "sha256", noted["sha256"], path)


def _decoded() -> Found:
    for path in _visible(f"{WORK}/decoded/*-*.npy"):
        yield path, lambda expected, path: expected.add(path, "sha256", path.stem.rpartition("-")[2], "its name")


def _outputs(expected: Expected, path: Path, cache: Cache) -> None:
    """Of every output that DVC has recorded; of a folder's files as far as the cache has their list."""
    locked = parse_yaml(path.read_text(encoding="utf-8"))
    for stage in locked["stages"].values():
        for output in stage.get("outs", []):
            place, md5 = path_inside(Path(), output["path"]), output["md5"]
            if not md5.endswith(".dir"):
                expected.add(place, "md5", md5, path)
                continue
            for name, value in cache.listing(md5).items():
                expected.add(place / name, "md5", value, path)
