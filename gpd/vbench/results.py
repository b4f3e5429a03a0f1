"""What VBench answered, checked: every clip that a dimension reads must have been scored."""

import math
from typing import Any

from gpd.artifacts import UserError
from gpd.vbench.suite import FLICKER, NUM_VIDEOS, Prompt, clip_file

# VBench leaves a clip out of `color` if it finds no object that could have one
MAY_LEAVE_OUT = {"color"}


def expected_files(prompts: list[Prompt], dimension: str, static: dict[str, int] | None) -> list[str]:
    """The clips that VBench reads for a dimension.

    Args:
        static: how many clips of each prompt its filter kept; None if it did not run.

    Raises:
        UserError: the filter kept none of a prompt's clips.
    """
    files: dict[str, None] = {}
    for prompt in (prompt for prompt in prompts if dimension in prompt.dimensions):
        number = NUM_VIDEOS
        if dimension == FLICKER and static is not None:
            number = static.get(prompt.text, 0)
            if number == 0:
                raise UserError(
                    f"{dimension}: VBench's static filter kept no clip of {prompt.text!r}: all of them move"
                )
        files |= dict.fromkeys(clip_file(prompt.text, video) for video in range(number))
    return list(files)


def check_answer(answer: dict[str, Any], dimensions: list[str], prompts: list[Prompt]) -> None:
    """Every dimension with a number, every clip of it scored.

    Raises:
        UserError: naming the dimension, and the first clip that VBench passed over.
    """
    for dimension in dimensions:
        if dimension not in answer["dimensions"]:
            raise UserError(f"{dimension}: VBench's answer lacks it")
        found = answer["dimensions"][dimension]
        if not isinstance(found["score"], int | float) or not math.isfinite(found["score"]):
            raise UserError(f"{dimension}: VBench's score is {found['score']!r}")
        expected = expected_files(prompts, dimension, answer["static"])
        missing = [file for file in expected if file not in found["clips"]]
        if missing and dimension not in MAY_LEAVE_OUT:
            raise UserError(
                f"{dimension}: VBench scored {len(expected) - len(missing)} of {len(expected)} clips; "
                f"it passed over {missing[0]}"
            )
