import shutil
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.params import Params, load_params
from gpd.planning.room import check_room

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(ROOT)
    return load_params()


def of_many(params: Params, number: int) -> Params:
    subjects = params.sample.model_copy(update={"num_prompts": number})
    return params.model_copy(update={"sample": subjects})


def test_a_small_stage_begins_without_a_word(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("encode", "distill@k8", "sample@k8", "evaluate@k8"):
        check_room(params, stage)
    assert capsys.readouterr().out == ""


def test_what_a_large_stage_writes_is_said(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    clip = 17 * 64 * 64 * 3  # bytes of a clip's frames, which are kept
    if shutil.disk_usage(ROOT).free < 3e9:
        pytest.skip("the disk is nearly full")
    check_room(of_many(params, 1 + int(2e9 / clip)), "evaluate@k8")
    assert capsys.readouterr().out.startswith("evaluate@k8: writes about 2.0 GB; ")


def test_a_stage_that_has_no_room_does_not_begin(params: Params) -> None:
    clip = 17 * 64 * 64 * 3
    number = 10 * int(shutil.disk_usage(ROOT).free / clip)
    with pytest.raises(UserError, match=r"^evaluate@k8: writes about \S+ GB below data, .work, where \S+ GB are free"):
        check_room(of_many(params, number), "evaluate@k8")
