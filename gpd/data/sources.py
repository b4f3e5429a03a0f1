"""A source folder: prompts.txt or prompts.jsonl, and if there are any evaluation.txt, clips/, evaluation_clips/."""

from dataclasses import dataclass
from pathlib import Path

from gpd.artifacts import UserError
from gpd.data.captions import check_unique, list_others, read_clips
from gpd.data.lines import Line, read_rows, read_text_lines
from gpd.data.rows import Clip
from gpd.data.splits import read_held_out, split_off
from gpd.data.texts import check_texts
from gpd.params import Prepare

CLIP_FOLDERS = ("clips", "evaluation_clips")


@dataclass(frozen=True)
class Source:
    """The contents of a source folder: prompts to train on, prompts held out, clips of both splits.

    Attributes:
        others: files among the clips that are none, by their paths in the source.
    """

    training: list[str]
    evaluation: list[str]
    clips: list[Clip]
    others: list[str]


def collect(source: Path, settings: Prepare) -> Source:
    """Reads and checks a source folder, and settles which prompts are held out.

    Raises:
        UserError: one line for each thing that is wrong in the source.
    """
    if not source.is_dir():
        raise UserError(f"prepare.source={str(source)!r}: no such folder")
    clips = [clip for name in CLIP_FOLDERS for clip in read_clips(source, name)]
    others = [file for name in CLIP_FOLDERS for file in list_others(source, name)]
    check_unique(clips)
    prompts = read_prompts(source)
    captions = [(f"{clip.file} (caption)", clip.caption) for clip in clips if clip.split == "train"]
    if (source / "evaluation.txt").exists():
        evaluation = read_held_out(source / "evaluation.txt", [*prompts, *captions], settings.num_evaluation_prompts)
    else:
        evaluation = split_off(prompts, captions, settings)
    held_out = set(evaluation)
    return Source([text for _, text in prompts if text not in held_out], evaluation, clips, others)


def read_prompts(source: Path) -> list[Line]:
    """The source's prompts, checked.

    Raises:
        UserError: there is no prompt file, or both; or a prompt is bad.
    """
    text, rows = source / "prompts.txt", source / "prompts.jsonl"
    if text.exists() == rows.exists():
        state = "both prompts.txt and prompts.jsonl" if text.exists() else "neither prompts.txt nor prompts.jsonl"
        raise UserError(f"prepare.source={str(source)!r}: there is {state}; one is needed")
    if text.exists():
        lines = read_text_lines(text)
    else:
        lines = [(where, row["text"].strip()) for where, row in read_rows(rows, required=("text",))]
    if not lines:
        raise UserError(f"{text if text.exists() else rows}: holds no prompt")
    check_texts(lines)
    return lines
