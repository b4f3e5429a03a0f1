from pathlib import Path

import pytest

from gpd.data import prepare
from tests.data.sources import error_of, params_of, texts, write_source

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_other_scripts_and_emoji_come_through() -> None:
    prompts = [
        "一只猫在雪地里",
        "кот на снегу",
        "قطة على الثلج",
        "👩‍👩‍👧‍👦 in the park 🌲",
        "line\u2028separator",
        "plain",
    ]
    write_source("\ufeff" + "\r\n".join(prompts) + "\r\n")
    prepare.run(params_of(1))
    assert set(texts("train") + texts("evaluation")) == set(prompts)


def test_every_mistake_has_its_line_up_to_ten() -> None:
    write_source("\n" * 30 + "one\n")
    lines = error_of().split("\n")
    assert len(lines) == 11
    assert lines[-1] == "and 20 more like these"


def test_a_file_that_is_not_utf8_is_named() -> None:
    write_source()
    Path("source/prompts.txt").write_bytes(b"caf\xe9\n")
    assert error_of() == "source/prompts.txt: not UTF-8 at byte 3"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"text": "a"', "not JSON (Expecting ',' delimiter at character 13)"),
        ('["a"]', "expected an object, found '[\"a\"]'"),
        ('{"prompt": "a"}', "key 'text' is missing"),
        ('{"text": "a", "weight": 2}', "unknown key 'weight'; known are text"),
        ('{"text": 3}', "text='3' is not a text"),
        ('{"text": "\\ud800"}', "control character U+D800 in '\\ud800'"),
        ('{"text": "a\\nb"}', "control character U+000A in 'a\\nb'"),
    ],
)
def test_bad_jsonl_lines_are_named(line: str, expected: str) -> None:
    write_source(None, rows='{"text": "fine"}\n' + line + "\n")
    assert error_of() == f"source/prompts.jsonl:2: {expected}"
