import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from gpd import artifacts, documents
from gpd.artifacts import UserError
from gpd.data import prepare
from gpd.documents import PromptsFacts
from gpd.params import Params, load_params

PROMPTS = [f"prompt number {i}" for i in range(20)]


@pytest.fixture(autouse=True)
def work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def params_of(num_evaluation_prompts: int = 4, seed: int = 0) -> Params:
    params = load_params(Path(str(resources.files("gpd.models") / "profiles" / "tiny-wan.yaml")))
    settings = {"source": "source", "num_evaluation_prompts": num_evaluation_prompts, "seed": seed}
    return params.model_copy(update={"prepare": params.prepare.model_copy(update=settings)})


def write_source(
    prompts: str | None = "\n".join(PROMPTS) + "\n",
    evaluation: str | None = None,
    rows: str | None = None,
    **folders: list[dict[str, Any] | str],
) -> None:
    """A source folder; `clips` and `evaluation_clips` are lists of captions, each file holds its own name."""
    files = {"prompts.txt": prompts, "prompts.jsonl": rows, "evaluation.txt": evaluation}
    for name, text in files.items():
        if text is not None:
            artifacts.write_text(Path("source") / name, text)
    for folder, captions in folders.items():
        for row in captions:
            if isinstance(row, dict) and isinstance(row.get("file"), str):
                artifacts.write_text(Path("source") / folder / row["file"], f"{folder}/{row['file']}")
        lines = [row if isinstance(row, str) else json.dumps(row) for row in captions]
        artifacts.write_text(Path("source") / folder / "captions.jsonl", "".join(f"{line}\n" for line in lines))


def read(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path("data/prompts", name).read_text(encoding="utf-8").split("\n") if line]


def error_of(**settings: int) -> str:
    with pytest.raises(UserError) as caught:
        prepare.run(params_of(**settings))
    assert not Path("data/prompts").exists()
    return str(caught.value)


def texts(split: str) -> list[str]:
    return [row["text"] for row in read("prompts.jsonl") if row["split"] == split]


def test_splits_off_the_asked_number_by_hash() -> None:
    write_source()
    prepare.run(params_of(4))
    assert len(texts("evaluation")) == 4
    assert sorted(texts("train") + texts("evaluation")) == sorted(PROMPTS)
    facts = documents.load_manifest(Path("data/prompts"), PromptsFacts).facts
    assert facts == PromptsFacts(num_prompts=16, num_evaluation_prompts=4, num_clips=0)
    assert documents.verify(Path("data/prompts")) == []


def test_the_split_depends_on_texts_and_seed_but_not_on_order() -> None:
    write_source()
    prepare.run(params_of(4))
    first = set(texts("evaluation"))
    write_source("\n".join(reversed(PROMPTS)))
    prepare.run(params_of(4))
    assert set(texts("evaluation")) == first
    prepare.run(params_of(4, seed=1))
    assert set(texts("evaluation")) != first


def test_a_rerun_gives_the_same_bytes() -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "a cat"}])
    prepare.run(params_of())
    before = {path.name: path.read_bytes() for path in Path("data/prompts").iterdir()}
    prepare.run(params_of())
    assert {path.name: path.read_bytes() for path in Path("data/prompts").iterdir()} == before


def test_the_first_evaluation_prompts_are_taken() -> None:
    write_source(evaluation="one\ntwo\nthree\n")
    prepare.run(params_of(2))
    assert texts("evaluation") == ["one", "two"]
    assert texts("train") == PROMPTS


def test_ids_are_hashes_of_the_text() -> None:
    write_source("hello\nworld\n")
    prepare.run(params_of(1))
    # sha256("hello") = 2cf24dba5fb0a30e..
    assert "p-2cf24dba5fb0a30e" in {row["id"] for row in read("prompts.jsonl")}


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


def test_prompts_may_be_jsonl() -> None:
    write_source(None, rows="\n".join(json.dumps({"text": text}) for text in PROMPTS))
    prepare.run(params_of(4))
    assert sorted(texts("train") + texts("evaluation")) == sorted(PROMPTS)


def test_clips_have_hash_caption_and_split() -> None:
    write_source(
        evaluation="e0\ne1\ne2\ne3\n",
        clips=[{"file": "a.mp4", "caption": "hello"}, {"file": "sub/b.webm", "caption": "x", "split": "evaluation"}],
        evaluation_clips=[{"file": "c.mkv", "caption": "e1"}],
    )
    prepare.run(params_of(4))
    a, b, c = read("clips.jsonl")
    sha256 = artifacts.hash_file(Path("source/clips/a.mp4"))
    assert a == {
        "id": f"c-{sha256[:16]}",
        "file": "clips/a.mp4",
        "sha256": sha256,
        "caption": "hello",
        "text": "p-2cf24dba5fb0a30e",
        "split": "train",
    }
    assert (b["file"], b["split"]) == ("clips/sub/b.webm", "evaluation")
    assert (c["file"], c["split"]) == ("evaluation_clips/c.mkv", "evaluation")


def test_a_caption_that_is_trained_on_is_not_held_out() -> None:
    write_source(clips=[{"file": f"{i}.mp4", "caption": text} for i, text in enumerate(PROMPTS[:15])])
    prepare.run(params_of(5))
    assert texts("evaluation") == PROMPTS[15:]


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ("one\n\ntwo\n", "source/prompts.txt:2: empty"),
        ("one\n   \ntwo\n", "source/prompts.txt:2: empty"),
        ("one\ntwo\none \n", "source/prompts.txt:3: the same prompt as at source/prompts.txt:1: 'one'"),
        ("one\nt\x07wo\n", "source/prompts.txt:2: control character U+0007 in 't\\x07wo'"),
        ("one\ntab\there\n", "source/prompts.txt:2: control character U+0009 in 'tab\\there'"),
        ("one\n" + "x" * 2001, "source/prompts.txt:2: 2001 characters, at most 2000: 'xxx"),
        ("", "source/prompts.txt: holds no prompt"),
    ],
)
def test_bad_prompts_are_named(prompts: str, expected: str) -> None:
    write_source(prompts)
    message = error_of()
    assert message.startswith(expected)
    assert "\n" not in message


def test_every_mistake_has_its_line_up_to_ten() -> None:
    write_source("\n" * 30 + "one\n")
    lines = error_of().split("\n")
    assert len(lines) == 11
    assert lines[-1] == "and 20 more like these"


def test_a_prompt_of_2000_characters_is_taken() -> None:
    write_source("x" * 2000 + "\ntwo\n")
    prepare.run(params_of(1))


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


def test_the_source_must_be_there_with_one_prompt_file() -> None:
    assert error_of() == "prepare.source='source': no such folder"
    write_source(None, clips=[])
    assert "neither prompts.txt nor prompts.jsonl" in error_of()
    write_source(rows='{"text": "a"}')
    assert "both prompts.txt and prompts.jsonl" in error_of()


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


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"file": "b.avi", "caption": "x"}, "file='b.avi' is not one of .mkv, .mp4, .webm"),
        ({"file": "a.mp4", "caption": "x"}, "file='a.mp4' is listed twice"),
        ({"file": "b.mp4", "caption": " "}, "empty"),
        ({"file": "b.mp4"}, "key 'caption' is missing"),
        ({"file": "b.mp4", "caption": "x", "split": "test"}, "split='test' is not 'train' or 'evaluation'"),
        ('{"file": "gone.mp4", "caption": "x"}', "file='gone.mp4' does not exist"),
        ('{"file": "../prompts.mp4", "caption": "x"}', "file='../prompts.mp4' is not a plain path below source/clips"),
        ("{file: b}", "not JSON (Expecting property name enclosed in double quotes at character 2)"),
    ],
)
def test_bad_captions_are_named(row: dict[str, str] | str, expected: str) -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "first"}, row])
    assert error_of().startswith(f"source/clips/captions.jsonl:2: {expected}")


def test_a_held_out_clip_has_no_split_of_its_own() -> None:
    write_source(evaluation_clips=[{"file": "a.mp4", "caption": "x", "split": "train"}])
    assert "unknown key 'split'" in error_of()


def test_clips_without_captions_are_named() -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "x"}])
    artifacts.write_text(Path("source/clips/b.MP4"), "b")
    assert error_of() == "source/clips/b.MP4: has no caption in captions.jsonl"
    Path("source/clips/captions.jsonl").unlink()
    assert error_of().startswith("source/clips/captions.jsonl: no such file")


def test_the_same_clip_twice_is_named() -> None:
    write_source(clips=[{"file": "a.mp4", "caption": "x"}, {"file": "b.mp4", "caption": "y"}])
    artifacts.write_text(Path("source/clips/b.mp4"), "clips/a.mp4")
    assert error_of() == "clips/b.mp4: the same bytes as clips/a.mp4"


def test_a_failure_leaves_the_old_output() -> None:
    write_source()
    prepare.run(params_of())
    before = documents.load_manifest(Path("data/prompts"))
    write_source("one\none\n")
    with pytest.raises(UserError):
        prepare.run(params_of())
    assert documents.load_manifest(Path("data/prompts")) == before
    assert documents.verify(Path("data/prompts")) == []
