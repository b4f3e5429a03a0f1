import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gpd.models.weights import find_gaps


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Weights in two files and the index that names them."""
    for number, name in enumerate(("a", "b"), start=1):
        save_file({name: torch.ones(number, 4)}, tmp_path / f"model-0000{number}-of-00002.safetensors")
    names = {name: f"model-0000{number}-of-00002.safetensors" for number, name in enumerate(("a", "b"), start=1)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return tmp_path


def test_whole_weights_have_no_gaps(part: Path):
    assert list(find_gaps(part)) == []


def test_half_the_files(part: Path):
    (part / "model-00002-of-00002.safetensors").unlink()
    (line,) = find_gaps(part)
    assert "names 2 files, of which 1 are missing (model-00002-of-00002.safetensors, ..)" in line


def test_a_copy_that_was_interrupted(part: Path):
    file = part / "model-00001-of-00002.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    (line,) = find_gaps(part)
    assert f"{len(whole) - 5} bytes where its header says {len(whole)}" in line


def test_a_pointer_of_git_lfs(part: Path):
    (part / "model-00001-of-00002.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (line,) = find_gaps(part)
    assert "no safetensors file" in line


def test_a_format_that_is_not_loaded(part: Path):
    save_file({"b": torch.ones(2, 4).to(torch.float8_e4m3fn)}, part / "model-00002-of-00002.safetensors")
    (line,) = find_gaps(part)
    assert "numbers of the format F8_E4M3; gpd loads F32, BF16, F16" in line


def test_a_pickle_is_named_and_counts_for_nothing(tmp_path: Path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    (line,) = find_gaps(tmp_path)
    assert line.endswith("no weights (*.safetensors); pytorch_model.bin is a pickle, never loaded")


def test_no_weights_at_all(tmp_path: Path):
    (line,) = find_gaps(tmp_path)
    assert "no weights" in line
