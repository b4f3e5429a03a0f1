"""A student that somebody packed is the same student elsewhere, or does not arrive at all."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpd import documents
from gpd.artifacts import UserError
from gpd.documents import StudentFacts
from gpd.models.use import profile_text
from gpd.params import Params
from gpd.registry import best, find_checkpoint, open_registry, show, sync
from gpd.release.archive import Packed, pack
from gpd.release.fetch import fetch
from gpd.sampling import generate
from tests.serving import serving
from tests.workspace import working_in


def furnish(folder: Path, base: Path) -> None:
    """What a clone has: params and the base model."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(profile_text("tiny-wan"))
    (folder / "data/tiny-wan").symlink_to(base)


@pytest.fixture(scope="module")
def maker(evaluated: tuple[Path, Params], small_wan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the student was made and measured."""
    folder = tmp_path_factory.mktemp("maker") / "work"
    shutil.copytree(evaluated[0], folder, copy_function=os.link)
    furnish(folder, small_wan)
    with working_in(folder):
        assert not sync().problems
    return folder


@pytest.fixture(scope="module")
def packed(maker: Path) -> Packed:
    with working_in(maker), open_registry() as session:
        made = pack(session=session, key="k4", to=Path("release"))
    return Packed(made.content, maker / made.path, made.size_bytes)


@pytest.fixture(autouse=True)
def newcomer(small_wan: Path, tmp_path: Path) -> Iterator[None]:
    """The current directory: another machine, so to speak."""
    furnish(tmp_path / "clone", small_wan)
    with working_in(tmp_path / "clone"):
        yield


@pytest.mark.parametrize("source", ["path", "file", "http", "folder", "unpacked"])
def test_it_arrives_whole_with_its_figures(source: str, packed: Packed, maker: Path) -> None:
    if source == "unpacked":
        with tarfile.open(packed.path) as archive:
            archive.extractall("unpacked", filter="data")
    with serving(packed.path.parent) as address:
        places = {"path": packed.path, "file": packed.path.as_uri(), "http": f"{address}/{packed.path.name}"}
        places |= {"folder": maker / "data/students/k4", "unpacked": Path("unpacked")}
        done = fetch(str(places[source]), content=packed.content[:8].upper())
        assert (done.content, done.is_new) == (packed.content, True)
        assert not fetch(str(places[source])).is_new
    assert documents.verify(done.path) == []
    with open_registry() as session:
        assert find_checkpoint("k4", session=session).path == done.path
        if source not in ("folder", "unpacked"):
            assert best(session=session, steps=2).winners[0].content == packed.content
            assert "## How to sample it" in (done.path.parent / "README.md").read_text()


def test_it_makes_clips(packed: Packed, evaluated: tuple[Path, Params]) -> None:
    fetch(str(packed.path))
    spec = packed.content[:12]
    generate.run(evaluated[1], prompts=["a red circle"], out=Path("clip.mp4"), checkpoint=spec)
    assert Path("clip.mp4").stat().st_size > 0


def test_what_was_made_here_is_meant_by_its_name(packed: Packed, maker: Path) -> None:
    fetch(str(packed.path))
    shutil.copytree(maker / "data/students/k4", "data/students/k4")
    Path("data/students/k4/training.csv").write_text("trained again")
    manifest = documents.load_manifest(maker / "data/students/k4", StudentFacts)
    documents.write_manifest(Path("data/students/k4"), manifest.facts, inputs=manifest.inputs, params=manifest.params)
    sync()
    with open_registry() as session:
        assert show(session=session, key="k4").content != packed.content
        assert find_checkpoint(packed.content[:12], session=session).path.is_relative_to("data/fetched")


def test_what_was_fetched_can_be_handed_on(packed: Packed) -> None:
    fetch(str(packed.path))
    with open_registry() as session:
        again = pack(session=session, key="k4", to=Path("release"))
    with tarfile.open(again.path) as one, tarfile.open(packed.path) as other:
        assert one.getnames() == other.getnames()


def test_equal_students_have_equal_archives(packed: Packed, maker: Path) -> None:
    with working_in(maker), open_registry() as session:
        again = pack(session=session, key=packed.content[:12], to=Path("again"))
        assert (maker / again.path).read_bytes() == packed.path.read_bytes()


Files = dict[str, bytes]


def spoilt(packed: Packed, change: Callable[[Files], object]) -> str:
    """The path of an archive with other files."""
    with tarfile.open(packed.path) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    change(files)
    with tarfile.open("spoilt.tar", "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return "spoilt.tar"


def flip(files: Files) -> None:
    name = "student/transformer/diffusion_pytorch_model.safetensors"
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])


def claim(files: Files) -> None:
    """Another checkpoint's figures."""
    name = next(name for name in files if name.endswith("evaluation.json"))
    raw = json.loads(files[name])
    raw["subjects"]["k4"]["checkpoint"] = "0" * 64
    files[name] = json.dumps({key: value for key, value in raw.items() if key != "seal"}).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flip, r"diffusion_pytorch_model.safetensors: content changed; nothing was kept"),
        (lambda files: files.pop("student/training.csv"), r"training.csv: missing; nothing was kept"),
        (lambda files: files.update({"student/training.csv": b"longer" * 99}), "does not belong to k4-"),
        (lambda files: files.update({"student/run.py": b"import os"}), r"run.py' of 9 bytes does not belong"),
        (lambda files: files.update({"../../out.txt": b"x"}), "is not a file of this folder"),
        (lambda files: files.pop("student/manifest.json"), "no archive of `gpd registry pack`"),
        (claim, "has figures of another checkpoint"),
    ],
)
def test_what_is_not_as_it_was_packed_is_not_kept(
    packed: Packed, change: Callable[[Files], object], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        fetch(spoilt(packed, change))
    assert "\n" not in str(caught.value)
    assert not list(Path().glob("data/fetched/*"))
    assert not Path("registry.db").exists()


def test_another_student_than_was_asked_for_is_refused(packed: Packed) -> None:
    with pytest.raises(UserError, match=f"holds {packed.content}, --content asks for 0123"):
        fetch(str(packed.path), content="0123")


def test_a_download_that_ends_early_is_refused(packed: Packed) -> None:
    Path("part.tar").write_bytes(packed.path.read_bytes()[: packed.size_bytes // 2])
    with pytest.raises(UserError, match=r"part\.tar: "):
        fetch("part.tar")
    assert not list(Path().glob("data/fetched/*"))


def test_a_place_that_has_none_is_one_line(packed: Packed) -> None:
    with serving(packed.path.parent) as address, pytest.raises(UserError, match=r"File not found|Not Found"):
        fetch(f"{address}/other.tar")
    with pytest.raises(UserError, match=r"http://me:\*\*\*@"):
        fetch(f"{address}/gone.tar".replace("//", "//me:secret@"))
    with pytest.raises(UserError, match="fetch champion: no such file or folder, and "):
        fetch("champion")
