from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.vbench.total import DIMENSIONS
from gpd.vbench.weights import NEEDED, RAFT, SOURCES, STATIC_FILTER, cache_folder, check_weights


def test_every_dimension_and_every_file_is_known() -> None:
    assert NEEDED.keys() == set(DIMENSIONS)
    assert {path for paths in NEEDED.values() for path in paths} | set(STATIC_FILTER) == SOURCES.keys()


def test_flicker_without_its_filter_needs_none(tmp_path: Path) -> None:
    check_weights(["temporal_flickering"], False, tmp_path)


def test_missing_files_are_named_with_their_place_and_source(tmp_path: Path) -> None:
    (tmp_path / RAFT).parent.mkdir(parents=True)
    (tmp_path / RAFT).touch()
    check_weights(["dynamic_degree", "temporal_flickering"], True, tmp_path)
    with pytest.raises(UserError) as caught:
        check_weights(["dynamic_degree", "subject_consistency", "motion_smoothness"], True, tmp_path)
    lines = str(caught.value).splitlines()
    assert "VBENCH_CACHE_DIR" in lines[0]
    assert lines[1].startswith(f"subject_consistency needs {tmp_path}/dino_model/facebookresearch_dino_main")
    assert lines[3].startswith(f"motion_smoothness needs {tmp_path}/amt_model/amt-s.pth (from https://")
    assert len(lines) == 4


def test_the_filters_weights_are_named_with_the_way_round(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"static filter .*--no-static-filter.* needs .*raft-things.pth"):
        check_weights(["temporal_flickering"], True, tmp_path)


def test_the_cache_is_vbenchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VBENCH_CACHE_DIR", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "vbench"
    monkeypatch.setenv("VBENCH_CACHE_DIR", "/big/vbench")
    assert cache_folder() == Path("/big/vbench")
