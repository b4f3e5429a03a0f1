"""A sample of what `python -m tests.mutants` does, which itself is no part of the suite."""

import ast
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gpd.core import sampler, velocity
from tests.mutants.operators import mutants_of, mutated, places
from tests.mutants.sample import drawn, share
from tests.mutants.session import announced
from tests.mutants.swap import Living
from tests.mutants.tries import ENDLESS, KILLED, SURVIVED, forked

VELOCITY, SAMPLER = "gpd/core/velocity.py", "gpd/core/sampler.py"
TEXT = """
def f(a, b=2):
    if a < b and not a:
        return a - 1
    del a
"""
CHANGES = {
    "2 -> 3",
    "2 -> 1",
    "a < b and (not a) -> a < b or not a",
    "a < b -> a <= b",
    "not a -> a",
    "return a - 1 -> return None",
    "a - 1 -> a + 1",
    "1 -> 2",
    "1 -> 0",
    "del a -> pass",
}


def test_each_place_of_a_function_is_changed_in_each_way() -> None:
    assert {place.change for place in places(ast.parse(TEXT))} == CHANGES


@pytest.mark.parametrize("text", ['WORD = "1"', "class C:\n    a: int = 1", "@cache(1)\ndef f(a: g[1]) -> h[2]: ..."])
def test_texts_declarations_and_annotations_stay(text: str) -> None:
    assert places(ast.parse(text)) == []


@pytest.mark.parametrize("path", [VELOCITY, SAMPLER])
def test_each_mutant_has_a_name_of_its_own_and_another_code(path: str) -> None:
    mutants = mutants_of(path)
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    before = ast.dump(ast.parse(Path(path).read_text()))
    assert all(ast.dump(mutated(path, mutant.number)) != before for mutant in mutants)


@pytest.mark.parametrize(
    ("path", "name", "survives"),
    [
        (VELOCITY, "velocity_of: noise - clean -> noise + clean", False),
        (SAMPLER, "sample: 1.0 -> 2.0", False),  # a default
        (VELOCITY, "guide: return negative", True),  # what the work below does not call
    ],
)
def test_a_mutant_lives_in_the_forked_process_alone(path: str, name: str, survives: bool) -> None:
    (mutant, *_) = [one for one in mutants_of(path) if f" {name}" in one.name]

    def work() -> int:
        assert Living([path]).put(mutant)
        return 0 if is_right() else 1

    assert forked(work, 60) == (SURVIVED if survives else KILLED)
    assert is_right()


def is_right() -> bool:
    one = torch.ones(1)
    default = (sampler.sample.__wrapped__.__kwdefaults__ or {})["guidance_scale"]
    return bool(velocity.velocity_of(one, 3 * one) == 2) and default == 1.0


def test_a_process_that_a_test_starts_imports_the_mutant() -> None:
    (mutant, *_) = [
        one for one in mutants_of("gpd/artifacts.py") if one.scope == "hash_json" and "return" in one.change
    ]
    words = [sys.executable, "-c", "from gpd.artifacts import hash_json; print(hash_json(1))"]
    done = subprocess.run(words, env={**os.environ, **announced(mutant)}, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_what_waits_for_ever_is_killed() -> None:
    assert forked(lambda: time.sleep(60) or 0, 0.2) == ENDLESS


def test_a_sample_has_of_each_module_its_share_and_grows() -> None:
    every = {path: mutants_of(path) for path in (VELOCITY, SAMPLER)}
    small, large = (drawn(every, number, random.Random(3)) for number in (20, 60))
    assert large[:20] == small
    assert len(set(large)) == 60
    part = len(every[SAMPLER]) / sum(map(len, every.values()))
    assert sum(mutant.path == SAMPLER for mutant in large) == pytest.approx(60 * part, abs=1)


def test_wilsons_interval_by_hand() -> None:
    """(p + z2 / 2n -+ z sqrt(p (1 - p) / n + z2 / 4 n^2)) / (1 + z2 / n) with p = .9, n = 100."""
    assert share(90, 100) == pytest.approx((0.9, 0.8256, 0.9448), abs=1e-4)
    assert share(0, 0) == (0.0, 0.0, 1.0)
