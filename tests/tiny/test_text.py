import pytest

from gpd.tiny.clips import all_scenes
from gpd.tiny.text import VOCABULARY_SIZE, make_tokenizer


def test_each_word_of_a_caption_is_one_token() -> None:
    tokenizer = make_tokenizer()
    assert all(len(tokenizer.encode(scene.caption).ids) == 11 for scene in all_scenes())


@pytest.mark.parametrize("text", ["naïve", "雪の中の猫", "🚀🐈", "Привет, мир", "a\ttab"])
def test_any_script_goes_in_and_comes_back(text: str) -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer.encode(text).ids
    assert ids[-1] == 1
    assert max(ids) < VOCABULARY_SIZE
    assert tokenizer.decode(ids).strip() == text


def test_the_tokenizer_is_the_same_every_time() -> None:
    assert make_tokenizer().to_str() == make_tokenizer().to_str()
