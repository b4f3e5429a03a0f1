import contextlib
import os
import time
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.data.occupied import occupying, output_lock, work_lock
from gpd.upkeep import clean

DAY = 86400


def put(name: str, days: float, size: int = 10_000) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    when = time.time() - days * DAY
    os.utime(path, (when, when))
    for above in path.parents[:-1]:
        os.utime(above, (when, when))
    return path


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


REMADE = [
    ".work/distill/k8-1/state.json",
    ".work/encode/1/shards/text-00000.tar",
    ".work/sample/k8-1/shards/part",
    ".work/flows/abc-def/data/students/k8/weights",
    ".work/ablation/run-1/log.txt",
    ".work/checkpoints/abc/weights",
    ".work/decoded/1-2.npy",
    "data/students/.k8.elsewhere.99999999.partial/weights",
    "data/.latents.99999999.old/text-00000.tar",
]
RESULTS = [
    "data/students/k8/weights",
    "data/students/.k4.old/weights",  # k4 itself is missing: a process died between two renames
    "registry.db",
    ".work/runs/1.json",
    ".work/ablation/1.json",
    ".work/ablation/base-1/evaluation.json",
]


def test_what_is_old_and_can_be_made_again_goes_and_results_stay(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, results = [put(name, days=8) for name in REMADE], [put(name, days=80) for name in RESULTS]
    clean.run("7d", is_sure=False)
    assert all(path.exists() for path in (*old, *results))
    said = capsys.readouterr().out
    assert "train states" in said
    assert "dvc gc" in said
    clean.run("7d", is_sure=True)
    assert [path for path in old if path.exists()] == []
    assert [path for path in results if not path.exists()] == []


def test_what_was_touched_since_stays(work: Path) -> None:
    old = [put(name, days=8) for name in REMADE]
    put(".work/distill/k8-1/at-9/part", days=6)
    clean.run("7d", is_sure=True)
    assert [path for path in old if path.exists()] == old[:1]
    clean.run("5d", is_sure=True)
    assert not old[0].exists()


def test_what_is_in_use_stays_however_old(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = [put(name, days=8) for name in REMADE]
    locks = [
        work_lock(Path(".work/distill/k8-1")),
        output_lock("encode", "0/2"),
        Path(".work/flows/abc-def/.work/locks") / output_lock("sample@k8").name,
        work_lock(Path(".work/flows/abc-def")),
        output_lock("ablate"),
        Path(".work/checkpoints/abc.lock"),
        output_lock("evaluate@k8"),
    ]
    with contextlib.ExitStack() as stack:
        for lock in locks:
            stack.enter_context(occupying("it", lock))
        for name in REMADE:
            put(name, days=8)
        clean.run("7d", is_sure=True)
    assert [path for path in old if path.exists()] == old[:7]
    assert capsys.readouterr().out.count("(1 in use)") == 6  # the flow's tree holds a lock of today


def test_a_link_to_another_tree_is_left_alone(work: Path) -> None:
    theirs = put("theirs/k8-1/state.json", days=8)
    Path(".work").mkdir()
    Path(".work/distill").symlink_to(theirs.parents[1].absolute())
    clean.run("1d", is_sure=True)
    assert theirs.exists()


@pytest.mark.parametrize("text", ["7", "d", "-7d", "7 d", "", "7y", "1e3d", "²d"])
def test_an_age_is_a_number_and_a_unit(text: str) -> None:
    with pytest.raises(UserError, match="clean --older-than="):
        clean.parse_age(text)


def test_ages_in_seconds() -> None:
    assert [clean.parse_age(text) for text in ("30m", "12h", "7d", "2w")] == [1800, 43200, 604800, 1209600]
