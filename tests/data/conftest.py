from pathlib import Path

import pytest

from tests.data.encoded import encoded, work_tree  # noqa: F401
from tests.workspace import add_pipeline


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_pipeline(tmp_path)
    monkeypatch.chdir(tmp_path)
