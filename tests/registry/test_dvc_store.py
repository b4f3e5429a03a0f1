"""What DVC keeps, read by its documented layout: folders made by hand, and its configuration."""

import hashlib
import json
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.registry.dvc_remote import _config_from_elsewhere, _first_error, _make_repository, network_remotes
from gpd.registry.dvc_store import OBJECTS, check_out, find_stores, read_config, remotes
from tests.registry.conftest import content_of, make_folder

CONFIG = """
[core]
    remote = far
    analytics = false
['remote "near"']
    url = ../store
['remote "web"']
    url = https://there/x
['remote "far"']
    url = s3://bucket/x
    endpointurl = https://there:9000
"""


def keep(store: Path, folder: Path, *, but: str = "") -> str:
    """Puts a folder into a store as DVC does; returns its MD5. `but`: a file that the store lacks."""
    entries = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        md5, name = hashlib.md5(path.read_bytes()).hexdigest(), path.relative_to(folder).as_posix()
        entries.append({"md5": md5, "relpath": name})
        if name != but:
            _put(store, md5, path.read_bytes())
    listing = json.dumps(entries).encode()
    md5 = hashlib.md5(listing).hexdigest() + ".dir"
    _put(store, md5, listing)
    return md5


def _put(store: Path, md5: str, data: bytes) -> None:
    path = store / OBJECTS / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_folder(tmp_path / "made", kind="prompts")
    return tmp_path / "made"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here/.dvc").mkdir(parents=True)
    return tmp_path / "here"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("is_named", [True, False])
def test_a_folder_comes_out_whole_by_its_content(here: Path, folder: Path, is_named: bool) -> None:
    other = make_folder(folder.with_name("other"), kind="prompts", text="other")
    keep(here / ".dvc/cache", folder.with_name("other"))
    md5 = keep(here / ".dvc/cache", folder)
    content = content_of(folder)
    made = check_out(content, here, [md5] if is_named else [])
    assert made == here / ".work/checkpoints" / content
    assert files(made) == files(folder)
    assert check_out(content, here) == made  # once more
    assert check_out(other.content, here) != made
    assert check_out("0" * 64, here) is None


@pytest.mark.parametrize("missing", ["manifest.json", "index.txt"])
def test_a_folder_that_is_kept_in_part_is_not_there(here: Path, folder: Path, missing: str) -> None:
    keep(here / ".dvc/cache", folder, but=missing)
    assert check_out(content_of(folder), here) is None
    assert not (here / ".work/checkpoints").exists()


def test_files_may_lie_in_one_store_and_the_list_in_another(here: Path, folder: Path) -> None:
    (here / ".dvc/config").write_text(CONFIG)
    keep(here / ".dvc/cache", folder, but="index.txt")
    keep(here / "store", folder, but="part/weights.txt")
    made = check_out(content_of(folder), here)
    assert made is not None
    assert files(made) == files(folder)


def test_other_bytes_under_a_manifest_are_refused(here: Path, folder: Path) -> None:
    content = content_of(folder)
    (folder / "index.txt").write_text("other bytes")
    keep(here / ".dvc/cache", folder)
    with pytest.raises(UserError, match=rf"^{content[:12]}: DVC keeps other bytes under this manifest \(\w{{12}}\)$"):
        check_out(content, here)
    assert not (here / ".work/checkpoints" / content).exists()


def test_lists_that_are_none_are_passed_over(here: Path, folder: Path) -> None:
    for number, text in enumerate(("{", "[{}]", '[{"md5": "x", "relpath": "manifest.json"}]')):
        _put(here / ".dvc/cache", f"0{number}" + "0" * 30 + ".dir", text.encode())
    keep(here / ".dvc/cache", folder)
    assert check_out(content_of(folder), here, ["ff" + "0" * 30 + ".dir"]) is not None


def test_stores_are_the_cache_and_remotes_that_are_folders_here(here: Path) -> None:
    assert list(find_stores(here)) == []
    (here / ".dvc/cache" / OBJECTS).mkdir(parents=True)
    (here / "store" / OBJECTS).mkdir(parents=True)
    assert list(find_stores(here)) == [here / ".dvc/cache"]
    (here / ".dvc/config").write_text(CONFIG)
    assert list(find_stores(here)) == [here / ".dvc/cache", here / ".dvc/../store"]
    (here / ".dvc/config.local").write_text("[cache]\n    dir = ../store\n")  # which is read after the other
    assert list(find_stores(here)) == [here / ".dvc/../store"]


def test_a_configuration_that_cannot_be_read_is_none(here: Path) -> None:
    (here / ".dvc/config").write_text("no section = here")
    assert read_config(here).sections() == []
    (here / ".dvc/config").write_bytes(b"\xff\xfe")
    assert read_config(here).sections() == []
    (here / ".dvc/config").write_text("[core]\n    a = %(x)s\n[core]\n    b = 1\n")  # DVC reads this, too
    assert dict(read_config(here)["core"]) == {"a": "%(x)s", "b": "1"}


def test_remotes_by_name_and_those_of_a_network_with_the_default_first(here: Path) -> None:
    assert remotes(read_config(here)) == {}
    assert network_remotes(here) == []
    (here / ".dvc/config").write_text(CONFIG)
    assert remotes(read_config(here)) == {"near": "../store", "web": "https://there/x", "far": "s3://bucket/x"}
    assert network_remotes(here) == ["far", "web"]


def test_another_repository_means_the_same_places(here: Path, tmp_path: Path) -> None:
    (here / "store").mkdir()
    (here / ".dvc/config").write_text(CONFIG)
    config = _config_from_elsewhere(here)
    near = Path(config["'remote \"near\"'"]["url"])
    assert near.is_absolute()
    assert near.resolve() == (here / "store").resolve()
    assert config["'remote \"web\"'"]["url"] == "https://there/x"
    assert config["'remote \"far\"'"]["endpointurl"] == "https://there:9000"
    assert dict(config["core"]) == {"remote": "far", "analytics": "false", "no_scm": "true"}
    assert Path(config["cache"]["dir"]) == here.resolve() / ".dvc/cache"
    (here / ".dvc/config.local").write_text("[cache]\n    dir = ../kept\n    type = hardlink\n")
    elsewhere = _config_from_elsewhere(here)["cache"]
    assert (Path(elsewhere["dir"]).resolve(), elsewhere["type"]) == ((here / "kept").resolve(), "hardlink")


def test_a_repository_of_the_moment_wants_the_folders_that_are_missing(here: Path, tmp_path: Path) -> None:
    import yaml

    made = tmp_path / "moment"
    made.mkdir()
    _make_repository(made, ["a.dir", "b.dir"], here)
    wanted = yaml.safe_load((made / "wanted.dvc").read_text())
    assert [(out["md5"], out["hash"], out["path"]) for out in wanted["outs"]] == [
        ("a.dir", "md5", "0"),
        ("b.dir", "md5", "1"),
    ]
    assert "no_scm = true" in (made / ".dvc/config").read_text()


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("WARNING: x\nERROR: no https://me:secret@there\nERROR: more", "no https://me:***@there"),
        ("killed", "dvc ended with status 255"),
    ],
)
def test_of_what_dvc_says_the_first_error_is_passed_on(said: str, line: str) -> None:
    import subprocess

    assert _first_error(subprocess.CompletedProcess([], 255, "", said)) == line
