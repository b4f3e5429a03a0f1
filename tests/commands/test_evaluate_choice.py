from pathlib import Path
from typing import Any

import pytest

from gpd.artifacts import UserError
from gpd.commands import evaluate_choice
from gpd.params import Params

A, B = Path("a"), Path("b")


def never() -> Params:
    raise AssertionError("params were read")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give a subject of params.yaml, --clips and --reference, or --protocol vbench"),
        ({"subject": "k8", "shard": "0/2"}, "--shard does not go with evaluate k8"),
        ({"subject": "k8", "clips": A, "reference": B}, "k8 does not go with --clips with --reference"),
        ({"clips": A}, "--reference is missing"),
        ({"reference": B}, "--clips is missing"),
        ({"clips": A, "reference": B, "num_prompts": 3}, "--num-prompts does not go with --clips with --reference"),
        ({"protocol": "fvd"}, "--protocol=fvd: the only one is vbench"),
        ({"protocol": "vbench", "reference": B}, "--reference does not go with --protocol vbench"),
        ({"protocol": "vbench", "clips": A, "subject": "k8"}, "k8 does not go with --protocol vbench --clips"),
        ({"protocol": "vbench", "clips": A, "shard": "0/2"}, "--shard does not go with --protocol vbench --clips"),
        ({"protocol": "vbench", "subject": "k8", "checkpoint": "x"}, "k8 and --checkpoint=x: give one of them"),
    ],
)
def test_contradictions_are_told_and_nothing_starts(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate_choice.run(never, given)
