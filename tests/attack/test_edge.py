"""The file system's edge lets one call fail, or be the last: of Python and of what is written in another language."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("cc") or sys.platform != "linux", reason="a C compiler on Linux")

SCRIPT = """
import sys
from pathlib import Path
from tests.attack import edge

edge.preload(Path(sys.argv[1]) / "build")
folder = Path(sys.argv[1]) / "watched"
folder.mkdir(exist_ok=True)

def write():
    (folder / "a").write_text("a")          # open, write
    (folder / "a").rename(folder / "b")     # rename

edge.arm(folder, -1, 0)()
write()
for _ in range(2):
    (folder / "c").mkdir(exist_ok=True)
print(*[call.words for call in edge.calls()], sep=", ")
print([call.is_idle for call in edge.calls()])
for number in range(4):
    edge.arm(folder, number, int(sys.argv[2]))()
    try:
        write()
        print("whole")
    except OSError as error:
        print(error.errno, edge.place().split()[0])
    (Path(sys.argv[1]) / "elsewhere").write_text("not counted")
"""


def run(folder: Path, error: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SCRIPT, folder, str(error)], capture_output=True, text=True)


def test_each_call_fails_once_and_only_below_the_folder(tmp_path: Path) -> None:
    done = run(tmp_path, 28)
    assert done.stdout.split("\n") == [
        "open64 a, write a, rename b, mkdir c, mkdir c",
        "[False, False, False, False, True]",
        "28 open64",
        "28 write",
        "28 rename",
        "whole",
        "",
    ], done.stderr


def test_a_call_may_be_the_last(tmp_path: Path) -> None:
    assert run(tmp_path, -1).returncode == -9
