import pytest

from gpd.data import prepare
from tests.data.sources import PROMPTS, error_of, params_of, texts, write_source

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_the_split_depends_on_texts_and_seed_but_not_on_order() -> None:
    write_source()
    prepare.run(params_of(4))
    first = set(texts("evaluation"))
    write_source("\n".join(reversed(PROMPTS)))
    prepare.run(params_of(4))
    assert set(texts("evaluation")) == first
    prepare.run(params_of(4, seed=1))
    assert set(texts("evaluation")) != first


def test_the_first_evaluation_prompts_are_taken() -> None:
    write_source(evaluation="one\ntwo\nthree\n")
    prepare.run(params_of(2))
    assert texts("evaluation") == ["one", "two"]
    assert texts("train") == PROMPTS


def test_a_caption_that_is_trained_on_is_not_held_out() -> None:
    write_source(clips=[{"file": f"{i}.mp4", "caption": text} for i, text in enumerate(PROMPTS[:15])])
    prepare.run(params_of(5))
    assert texts("evaluation") == PROMPTS[15:]


def test_evaluation_prompts_are_never_trained_on() -> None:
    write_source(evaluation="one\nprompt number 3\nfour\nfive\na cat\n", clips=[{"file": "a.mp4", "caption": "a cat"}])
    first, second = error_of().split("\n")
    assert first == ("source/prompts.txt:4: also an evaluation prompt (source/evaluation.txt:2): 'prompt number 3'")
    assert second == "clips/a.mp4 (caption): also an evaluation prompt (source/evaluation.txt:5): 'a cat'"


def test_too_few_evaluation_prompts() -> None:
    write_source(evaluation="one\ntwo\n")
    assert error_of(num_evaluation_prompts=3) == (
        "source/evaluation.txt: holds 2 prompts, prepare.num_evaluation_prompts=3"
    )


@pytest.mark.parametrize("num", [20, 21])
def test_one_prompt_stays_to_train_on(num: int) -> None:
    write_source()
    assert f"of 20 prompts 20 can be held out, prepare.num_evaluation_prompts={num}" in error_of(
        num_evaluation_prompts=num
    )
