import json
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.vbench.suite import check_clips, choose_prompts, load_suite, missing_clips, plan_clips

ENTRIES = [
    {"prompt_en": "a lake, frozen in time", "dimension": ["temporal_flickering"]},
    {"prompt_en": "a red car", "dimension": ["color"], "auxiliary_info": {"color": {"color": "red"}}},
    {"prompt_en": "a dog", "dimension": ["subject_consistency", "dynamic_degree"]},
    {"prompt_en": "a red car", "dimension": ["object_class"]},
    {"prompt_en": "a cat", "dimension": ["dynamic_degree"]},
]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "full_info.json"
    path.write_text(json.dumps(ENTRIES))
    return path


def test_a_subset_keeps_places_and_so_seeds(suite: Path) -> None:
    prompts = choose_prompts(load_suite(suite), ["dynamic_degree", "color"], 1)
    assert [(prompt.index, prompt.text) for prompt in prompts] == [(1, "a red car"), (2, "a dog")]
    assert [clip.seed for clip in plan_clips(prompts, True)] == [*range(100_000, 100_005), *range(200_000, 200_005)]
    assert plan_clips(prompts, True)[6].file == "a dog-1.mp4"


def test_flicker_has_25_and_a_prompt_that_stands_twice_is_made_once(suite: Path) -> None:
    prompts = load_suite(suite)
    assert len(plan_clips(prompts, True)) == 25 + 5 + 5 + 5
    assert len(plan_clips(prompts, False)) == 5 + 5 + 5 + 5
    assert {clip.prompt.index for clip in plan_clips(prompts, True)} == {0, 1, 2, 4}


def test_a_missing_clip_is_named(suite: Path, tmp_path: Path) -> None:
    clips = plan_clips(choose_prompts(load_suite(suite), ["dynamic_degree"], None), True)
    for clip in clips[:-1]:
        (tmp_path / clip.file).touch()
    assert missing_clips(clips, tmp_path) == clips[-1:]
    assert missing_clips(clips, tmp_path / "nowhere") == clips
    with pytest.raises(UserError, match=r"1 of 10 clips are missing; the first: a cat-4.mp4"):
        check_clips(clips, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not VBench's full info"),
        ('[{"prompt": "a"}]', "not VBench's full info.*prompt_en"),
        ('[{"prompt_en": "a/b", "dimension": []}]', "prompt 0 cannot be a file's name: 'a/b'"),
        ('[{"prompt_en": "a", "dimension": ["beauty"]}]', "prompt 0 has an unknown dimension 'beauty'"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "full_info.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_suite(path)


def test_unknown_and_empty_dimensions_are_named(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"full_info.json: no such file"):
        load_suite(tmp_path / "other" / "full_info.json")
    with pytest.raises(UserError, match="--dimension=beauty: VBench has no such dimension"):
        choose_prompts(load_suite(suite), ["beauty"], None)
    with pytest.raises(UserError, match="--dimension=scene: the full-info file has no prompt of it"):
        choose_prompts(load_suite(suite), ["scene"], None)
