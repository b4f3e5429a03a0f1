"""Files that people and programs bring are read in bounded time, wherever they are read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gpd.ablation.grid import load_grid
from gpd.artifacts import UserError
from gpd.data.rows import Prompt, load_rows
from gpd.models.folders import load_config
from gpd.registry.documents import read_dvc_lock
from gpd.stages import load_stages
from gpd.vbench.suite import load_suite

ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "dvc.yaml": (lambda path: load_stages(path.parent, {}), ALIASES),
    "dvc.lock": (read_dvc_lock, ALIASES),
    "grid.yaml": (load_grid, ALIASES),
    "config.json": (load_config, '{"a":' * 100_000),
    "full_info.json": (load_suite, "[" * 100_000),
    "prompts.jsonl": (lambda path: load_rows(path, Prompt), '{"id": "p", "id": "q", "text": "t", "split": "train"}\n'),
}


@pytest.mark.parametrize("name", READERS)
def test_what_explodes_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    read, text = READERS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=name.replace(".", r"\.")) as found:
        read(tmp_path / name)
    assert len(str(found.value)) < 600
    assert "\n" not in str(found.value)
