from typing import Any

import pytest

from gpd.artifacts import UserError
from gpd.vbench.results import check_answer, expected_files
from gpd.vbench.suite import Prompt

PROMPTS = [
    Prompt(0, "a lake", ("temporal_flickering",), {}),
    Prompt(1, "a red car", ("color",), {}),
]


def answer(dimension: str, files: list[str], score: Any = 0.5, static: dict[str, int] | None = None) -> dict[str, Any]:
    return {"dimensions": {dimension: {"score": score, "clips": dict.fromkeys(files, 1.0)}}, "static": static}


def files(text: str, number: int) -> list[str]:
    return [f"{text}-{video}.mp4" for video in range(number)]


def test_what_a_dimension_reads() -> None:
    assert expected_files(PROMPTS, "temporal_flickering", None) == files("a lake", 5)
    assert expected_files(PROMPTS, "temporal_flickering", {"a lake": 3}) == files("a lake", 3)
    assert expected_files(PROMPTS, "color", {"a lake": 3}) == files("a red car", 5)
    with pytest.raises(UserError, match="static filter kept no clip of 'a lake'"):
        expected_files(PROMPTS, "temporal_flickering", {"a lake": 0})


def test_a_whole_answer_passes() -> None:
    check_answer(answer("temporal_flickering", files("a lake", 5)), ["temporal_flickering"], PROMPTS)


def test_a_clip_that_vbench_passed_over_is_named() -> None:
    with pytest.raises(UserError, match=r"scored 4 of 5 clips; it passed over a lake-4.mp4"):
        check_answer(answer("temporal_flickering", files("a lake", 4)), ["temporal_flickering"], PROMPTS)


def test_color_may_leave_out_clips_without_the_object() -> None:
    check_answer(answer("color", files("a red car", 2)), ["color"], PROMPTS)


def test_a_missing_dimension_or_number_is_named() -> None:
    with pytest.raises(UserError, match="color: VBench's answer lacks it"):
        check_answer(answer("temporal_flickering", files("a lake", 5)), ["color"], PROMPTS)
    with pytest.raises(UserError, match="color: VBench's score is nan"):
        check_answer(answer("color", files("a red car", 5), score=float("nan")), ["color"], PROMPTS)
