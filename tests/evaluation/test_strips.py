"""What a student kept on the way becomes clips side by side."""

import json
from pathlib import Path

import numpy as np

from gpd import documents
from gpd.data.clips import load_whole_clip
from gpd.data.strips import Strip, save_strip
from gpd.documents import StudentFacts, write_manifest
from gpd.evaluation.strips import MOST_PX, side_by_side, write_strip
from gpd.params import Params

STUDENT = Path("data/students/k4")


def test_clips_stand_side_by_side_in_order() -> None:
    clips = np.stack([np.full((3, 8, 6, 3), level, np.uint8) for level in (10, 20, 30)])
    row = side_by_side(clips)
    assert row.shape == (3, 8, 18, 3)
    assert [row[0, 0, column, 0] for column in (0, 5, 6, 12)] == [10, 10, 20, 30]


def test_large_clips_are_made_smaller_by_whole_blocks() -> None:
    clips = np.zeros((2, 2, 480, 832, 3), np.uint8)
    clips[:, :, ::5, :, :] = 250  # one row of each block of 5
    row = side_by_side(clips)
    height, width = 480 // 5, 832 // 5 // 2 * 2
    assert width <= MOST_PX
    assert row.shape == (2, height, 2 * width, 3)
    assert (row == 50).all()


def test_a_student_that_kept_samples_is_shown_and_another_is_not(workspace: Params) -> None:
    decode = lambda latents: np.repeat(np.zeros((1, 5, 64, 64, 3), np.uint8), len(latents), 0)  # noqa: E731
    content = documents.identify(STUDENT).content
    assert write_strip(Path("out"), STUDENT, content, decode, 16.0) is None
    prompts = [json.loads(line) for line in Path("data/prompts/prompts.jsonl").read_text().splitlines()]
    ends = {name: np.zeros((2, 16, 2, 8, 8), np.float32) for name in ("0", "teacher")}
    manifest = documents.load_manifest(STUDENT, StudentFacts)
    save_strip(STUDENT, Strip(ends, [row["id"] for row in prompts[:2]]))
    write_manifest(STUDENT, manifest.facts, inputs=manifest.inputs, params=manifest.params)
    content = documents.identify(STUDENT).content
    shown = write_strip(Path("out"), STUDENT, content, decode, 16.0)
    assert shown is not None
    assert shown.columns == ["0", "teacher"]
    assert [row.prompt for row in shown.rows] == [row["text"] for row in prompts[:2]]
    assert load_whole_clip(Path("out") / shown.rows[0].file).frames.shape == (5, 64, 128, 3)
    assert write_strip(Path("out"), STUDENT, "another", decode, 16.0) is None
