"""The code of an earlier commit, for the keys that it gave to what it made."""

import contextlib
import functools
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gpd.ablation.trees import Code
from gpd.artifacts import UserError
from gpd.documents.reading import parse_yaml
from gpd.params import PARAMS_FILE
from gpd.stages import CODE, PIPELINE, content_of

DIRTY = "-dirty"  # after a commit: with edits that were not committed


def committed(commit: str | None) -> str | None:
    """The commit alone; None outside of a repository."""
    return commit and commit.removesuffix(DIRTY)


@contextlib.contextmanager
def earlier_code(commit: str) -> Iterator[Code]:
    """dvc.yaml, gpd/ and the keys of params.yaml as a commit has them; data are those of the working directory.

    Raises:
        UserError: git has no such commit, or it lacks one of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _unpack(commit, root)

        @functools.cache
        def identify(path: str) -> str:
            return content_of(root / path if path.startswith(CODE) else Path(path))

        yield Code(root, identify, parse_yaml((root / PARAMS_FILE).read_text(encoding="utf-8")))


def _unpack(commit: str, root: Path) -> None:
    words = ["git", "archive", "--format=tar", commit, "--", str(PIPELINE), str(PARAMS_FILE), CODE]
    done = subprocess.run(words, capture_output=True)
    if done.returncode:
        raise UserError(f"its code is not here ({done.stderr.decode(errors='replace').strip().splitlines()[-1]})")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(root, filter="data")
