from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpd.artifacts import UserError
from gpd.evaluation.folders import group_seeds
from gpd.sampling.orders import parse_seeds, plan, slug


@given(
    st.lists(st.text(max_size=50), min_size=2, max_size=11), st.sets(st.integers(0, 2**31 - 1), min_size=1, max_size=3)
)
def test_names_sort_as_prompts_and_seeds_do_and_seeds_of_a_prompt_group(prompts: list[str], seeds: set[int]) -> None:
    orders = plan(prompts, sorted(seeds), Path("clips"))
    paths = [order.path for order in orders]
    assert paths == sorted(paths)
    assert len({path.name.lower() for path in paths}) == len(prompts) * len(seeds)
    assert all(path.parent == Path("clips") and len(path.name.encode()) < 250 for path in paths)
    assert [len(group) for group in group_seeds(paths)] == [len(seeds)] * len(prompts)


def test_a_slug_ends_with_a_whole_word() -> None:
    assert slug("A red circle, moving left!") == "a-red-circle-moving-left"
    assert slug("eine Katze läuft über die Straße und dann wieder zurück") == "eine-katze-läuft-über-die-straße-und"
    assert slug("x" * 90) == "x" * 40
    assert slug("../..") == "clip"


def test_where_clips_go() -> None:
    assert plan(["a"], [0], None)[0].path == Path("clip.mp4")
    assert plan(["a"], [0], Path("out"))[0].path == Path("out/0-a-seed0.mp4")
    assert plan(["a"], [0, 1], None)[1].path == Path("clips/0-a-seed1.mp4")
    assert plan(["a"], [0], Path("k8-v1.5"))[0].path.parent == Path("k8-v1.5")


def test_seeds() -> None:
    assert parse_seeds("0, 1,7") == [0, 1, 7]
    for words in ("", "1,", "-1", "1.5", "0,0", str(2**31), "a"):
        with pytest.raises(UserError, match="--seeds="):
            parse_seeds(words)
