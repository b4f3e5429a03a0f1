"""Wherever the files of a checkpoint lie on this machine they are found, whole and with the right bytes."""

import json
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo  # type: ignore[import-untyped]

from gpd.artifacts import UserError, hash_files, list_files
from gpd.registry import find_artifact, find_checkpoint, open_registry, promote, sync
from gpd.registry.dvc_store import check_out
from gpd.registry.tables import Location
from tests.registry.conftest import content_of, make_run, make_student, make_workspace
from tests.registry.test_dvc_store import keep
from tests.serving import serving

K8 = Path("data/students/k8")
OTHER = "trained again"


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with DVC's real cache and remote, in which are two students: k8 and one trained again."""
    root = tmp_path_factory.mktemp("kept")
    make_workspace(root)
    Repo.init(str(root), no_scm=True).close()
    with (root / ".dvc/config").open("a") as config:
        config.write("['remote \"store\"']\n    url = ../store\n")  # as `dvc remote add` writes it
    with Repo(str(root)) as repo:
        for text in (None, OTHER):
            make_student(root, "k8", 8, root / "data/students/k4", text=text)
            repo.add(str(root / K8))
            repo.push(remote="store")
    return root


@pytest.fixture
def lost(workspace: Path, kept: Path) -> Path:
    """A workspace in which k8 is the champion and was trained again since; DVC's cache has both."""
    shutil.copytree(kept / ".dvc", workspace / ".dvc")
    sync()
    with open_registry(writes=True) as session:
        promote(session=session, key="k8", alias="champion", because="best")
    make_student(workspace, "k8", 8, workspace / "data/students/k4", text=OTHER)
    return workspace


def find(spec: str = "champion") -> Path:
    """The folder, with the right bytes."""
    with open_registry() as session:
        found = find_checkpoint(spec, session=session)
    assert hash_files(list_files(found.path)) == found.content == content_of(found.path)
    return found.path


def test_from_the_cache(lost: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = find()
    assert path == Path(".work/checkpoints") / path.name
    assert (path / "index.txt").stat().st_nlink > 1, "a hard link costs no space"
    assert find() == path
    assert find("k8") == path
    assert "`gpd registry sync` records a newer one" in capsys.readouterr().err
    sync()
    assert find("k8") == K8, "of two with a name the one in its place is meant"


def test_from_a_cache_elsewhere_without_hard_links(lost: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lost / ".dvc/cache").rename(lost / "elsewhere")
    (lost / ".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n")

    def fails(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", fails)
    assert (find() / "index.txt").stat().st_nlink == 1


@pytest.fixture
def pushed(kept: Path, lost: Path) -> Path:
    """`lost` without its cache; what was in it is in a remote that is a folder, as DVC itself pushed it there."""
    shutil.copytree(kept / "store", lost / "store")
    shutil.rmtree(lost / ".dvc/cache")
    return lost / "store"


def test_from_a_remote_folder(pushed: Path) -> None:
    assert find().name == find("champion").name
    assert pushed.is_dir()


@pytest.fixture
def served(pushed: Path, lost: Path) -> Iterator[None]:
    """The same remote behind an HTTP server, with what dvc.lock of that time named."""
    shutil.move(pushed, pushed := pushed.with_name("served"))
    md5 = next(md5 for md5, content in _kept_in(pushed).items() if content == _champion())
    with serving(pushed) as url:
        (lost / ".dvc/config").write_text(f"[core]\n    analytics = false\n['remote \"web\"']\n    url = {url}\n")
        outs = [{"path": K8.as_posix(), "md5": md5, "hash": "md5"}]
        (lost / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"distill@k8": {"outs": outs}}}))
        yield


def _champion() -> str:
    with open_registry() as session:
        return find_artifact(key="champion", session=session).content


def _kept_in(store: Path) -> dict[str, str]:
    """Which content lies under which MD5."""
    objects = store / "files/md5"
    found = {}
    for listing in objects.glob("*/*.dir"):
        (manifest,) = [e["md5"] for e in json.loads(listing.read_text()) if e["relpath"] == "manifest.json"]
        raw = json.loads((objects / manifest[:2] / manifest[2:]).read_text())
        found[listing.parent.name + listing.name] = raw["content"]
    return found


@pytest.mark.usefixtures("served")
def test_from_a_remote_over_http_by_dvc_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_registry(writes=True) as session:  # as in a new clone: measured, never made
        place = session.get(Location, (_champion(), K8.as_posix()))
        session.delete(place)
    assert find().parent == Path(".work/checkpoints")
    assert "k8): from DVC remote web" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")  # what was brought stays in the cache
    shutil.rmtree(".work/checkpoints")
    assert (find() / "index.txt").stat().st_nlink > 1


def test_from_a_flow_s_tree(lost: Path, kept: Path) -> None:
    shutil.rmtree(lost / ".dvc")
    tree = Path(".work/flows/0123-4567") / K8
    make_student(lost, "k8", 8, lost / "data/students/k4")
    shutil.copytree(K8, tree)
    make_student(lost, "k8", 8, lost / "data/students/k4", text=OTHER)
    assert find() == tree
    (tree / "index.txt").write_text("changed since")
    with pytest.raises(UserError, match="nor in a flow's tree"):
        find()


def test_what_no_sync_has_seen_is_found_by_its_content(lost: Path) -> None:
    content = content_of(K8)  # trained again, and never recorded
    assert check_out(content, lost) == lost / ".work/checkpoints" / content


def test_a_part_is_never_there(lost: Path) -> None:
    with open_registry() as session:
        content = find_artifact(key="champion", session=session).content
    files = (path for path in Path(".dvc/cache/files").glob("md5/*/*") if path.suffix != ".dir")
    weights = next(path for path in files if path.read_text() == "the bytes of k8")
    whole = weights.read_bytes()
    weights.chmod(0o644)
    weights.write_text("the bytes of k9")
    with pytest.raises(UserError, match="DVC keeps other bytes"):
        find()
    assert [path.suffix for path in Path(".work/checkpoints").iterdir()] == [".lock"]
    weights.unlink()
    with pytest.raises(UserError, match="nor in DVC's cache"):
        find()
    weights.write_bytes(whole)
    made: list[Path | None] = []
    threads = [threading.Thread(target=lambda: made.append(check_out(content, lost))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [find().absolute()] * 4


def test_a_listing_that_leads_elsewhere_is_refused(lost: Path) -> None:
    for listing in Path(".dvc/cache").rglob("*.dir"):
        listing.chmod(0o644)
        listing.write_text(listing.read_text().replace("index.txt", "../../../index.txt"))
    with pytest.raises(UserError, match="is not a file of this folder"):
        find()
    assert not Path("index.txt").exists()


def test_what_is_nowhere_says_how_to_get_it(lost: Path) -> None:
    shutil.rmtree(lost / ".dvc/cache")
    advice = "made on somewhere at commit e{12}; `dvc push data/students/k8` there, at that commit, .* remote store"
    with pytest.raises(UserError, match=advice):
        find()
    (lost / ".dvc/config").unlink()
    with pytest.raises(UserError, match="no DVC remote is configured, so bring that machine's data/students/k8"):
        find()


# --- without DVC: what it keeps and how it is configured is written by hand

CONFIG = "['remote \"first\"']\n    url = https://there/1\n['remote \"second\"']\n    url = https://there/2\n"


@pytest.fixture
def gone(workspace: Path, synced_sqlite: Path) -> str:
    """The hash of k8, which was measured here, and whose files are not here any more."""
    shutil.copy(synced_sqlite, workspace / "registry.db")
    content = content_of(K8)
    shutil.move(K8, workspace / "taken")
    (workspace / ".dvc").mkdir()
    return content


def said_of(spec: str) -> str:
    with pytest.raises(UserError) as caught, open_registry() as session:
        find_checkpoint(spec, session=session)
    return str(caught.value)


def test_where_it_was_and_who_has_it(gone: str) -> None:
    assert re.fullmatch(
        rf"{gone[:12]} \(k8\): not in this workspace, nor in a flow's tree, nor in DVC's cache; data/students/k8 is "
        r"not there; made on somewhere at commit e{12}; no DVC remote is configured, so bring that machine's "
        r"data/students/k8 or DVC cache here",
        said_of("k8"),
    )
    Path(".dvc/config").write_text("['remote \"store\"']\n    url = ../store\n")
    assert "`dvc push data/students/k8` there, at that commit, puts them into remote store" in said_of("k8")


def test_of_what_only_failed_runs_made_nobody_is_named(gone: str) -> None:
    with sqlite3.connect("registry.db") as database:
        database.execute("UPDATE run SET exit_code = 1")
    assert "; made by no run recorded here; no DVC remote is configured, so bring that machine's folder" in said_of(
        "k8"
    )
    Path(".dvc/config").write_text("['remote \"store\"']\n    url = ../store\n")
    assert "; made by no run recorded here; `dvc push FOLDER` there" in said_of("k8")


def test_the_last_run_that_made_it_is_named(gone: str) -> None:
    shutil.move("taken", K8)
    for commit, day in (("a", 4), ("b", 5), ("c", 3)):
        git = {"commit": commit * 40, "is_dirty": False}
        make_run(Path.cwd(), "k8", Path.cwd() / K8, git=git, started=f"2026-01-0{day}T00:00:00.000+00:00")
    sync()
    shutil.move(K8, "taken")
    assert "at commit bbbbbbbbbbbb;" in said_of("k8")


def test_remotes_are_asked_in_turn_until_one_has_it(
    gone: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".dvc/config").write_text(CONFIG)
    asked: list[tuple[list[str], str]] = []

    def fetch(md5s: list[str], remote: str, workspace: Path) -> str | None:
        asked.append((md5s, remote))
        if remote == "second" and is_there:
            keep(workspace / ".dvc/cache", workspace / "taken")
        return "no such host" if remote == "first" else None

    monkeypatch.setattr("gpd.registry.places.fetch", fetch)
    is_there = False
    said = said_of("k8")
    assert "; remote first: no such host; remote second: does not have it; made on somewhere" in said
    md5s = [f"{'k8':0>30}.dir"]
    assert asked == [(md5s, "first"), (md5s, "second")]
    capsys.readouterr()
    is_there = True
    path = find(gone)
    assert path == Path(".work/checkpoints") / gone
    said = capsys.readouterr().err
    assert said == "".join(f"gpd: {gone[:12]} (k8): from DVC remote {name}\n" for name in ("first", "second"))
    assert find(gone) == path
    assert capsys.readouterr().err == ""  # once made it is here


def test_a_new_clone_asks_by_what_dvc_lock_has_of_the_measured_subject(
    gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".dvc/config").write_text(CONFIG)
    with sqlite3.connect("registry.db") as database:
        database.execute("DELETE FROM location")
    asked: list[list[str]] = []
    monkeypatch.setattr("gpd.registry.places.fetch", lambda md5s, *_: asked.append(md5s))
    said_of("k8")
    assert asked == [[f"{'k8':0>30}.dir"]] * 2
    Path("dvc.lock").unlink()
    said_of("k8")
    assert len(asked) == 2, "without an MD5 no remote is asked"


def test_a_tree_of_a_flow_or_an_ablation_has_it(gone: str) -> None:
    for tree in (".work/ablation/one", ".work/flows/two", "."):
        place = Path(tree) / "data/students/other"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move("taken", place)
        assert find("k8") == place
        shutil.move(place, "taken")
    assert "nor in a flow's tree" in said_of("k8")
