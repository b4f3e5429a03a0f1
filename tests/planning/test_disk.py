"""What DVC really makes of whole students, beside what the plan says of its two ways."""

import subprocess
import sys
from pathlib import Path

import pytest

from gpd.models import wan
from gpd.models.families import open_model
from gpd.planning.base import find_base
from gpd.planning.disk import other_parts, parameters, with_cache
from gpd.planning.plan import load
from tests.workspace import working_in

STUDENTS = ("k1", "k2", "k4")
STAGES = """stages:
  distill:
    foreach: [k1, k2, k4]
    do: {cmd: "true", outs: ["students/${item}"]}
"""


def test_links_are_kept_where_dvc_is_told_so_and_undone_elsewhere(small_wan: Path, tmp_path: Path):
    network = wan.load_network(small_wan, merge_padding=True)
    transformer = 4 * sum(weight.numel() for weight in network.parameters())
    others = size_of(small_wan) - size_of(small_wan / "transformer")
    taken = {}
    for kind in ("reflink,copy", "hardlink,copy"):
        folder = tmp_path / kind
        make_repository(folder, kind)
        with working_in(folder):
            open_model(small_wan).save_student(Path("base"), network, grid_steps=48, shift=3.0)
            for name in STUDENTS:  # from a base model on this disk, so that files can be linked
                network.transformer.patch_embedding.bias.data += 1  # each is another
                open_model("base").save_student(Path("students") / name, network, grid_steps=48, shift=3.0)
            run(sys.executable, "-m", "dvc", "commit", "-q", "-f")
            assert open_model("students/k4").load_network(merge_padding=True).transformer.config.num_layers
        taken[kind] = size_of(folder)
    assert taken["hardlink,copy"] == pytest.approx(4 * transformer + others, rel=0.05)
    # Files of their own in the work tree and in the cache; a file system with reflinks stores them once all the same
    assert taken["reflink,copy"] == pytest.approx(7 * transformer + 5 * others, rel=0.05)


def make_repository(folder: Path, kind: str) -> None:
    (folder / ".dvc" / "tmp").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text(
        f"[core]\n    no_scm = true\n    analytics = false\n[cache]\n    type = {kind}\n"
    )
    (folder / "dvc.yaml").write_text(STAGES)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def size_of(folder: Path) -> int:
    """Bytes of all files, linked ones once."""
    files = (file.stat() for file in folder.rglob("*") if file.is_file())
    return sum({status.st_ino: status.st_size for status in files}.values())


def test_eight_whole_students_by_copies_and_by_links():
    params = load("wan2.1-1.3b-paper")[1]
    base = find_base(params.model)
    others, transformer, number = other_parts(base), 4 * parameters(base), len(params.distill.stages)
    disk = {"data/latents": 0.0, "data/samples": 0.0, "data/students": number * (transformer + others), "base": others}
    found = with_cache(params, base, disk)
    assert found["links"] == pytest.approx(others + number * transformer)
    assert found["copies"] == pytest.approx((number + 2) * others + 2 * number * transformer)
