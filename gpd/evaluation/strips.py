"""How a student learnt, as clips: one mp4 a prompt, its samples after so many iterations side by side."""

from pathlib import Path

import numpy as np

from gpd import documents
from gpd.artifacts import MANIFEST
from gpd.data.clips import write_mp4
from gpd.data.rows import PROMPT_ROWS, PROMPTS, Prompt, load_rows
from gpd.data.strips import load_strip
from gpd.documents import ShownStrip, StripRow
from gpd.evaluation.measuring import Decode

MOST_PX = 176  # of a sample's longer side: a row of eight stays as wide as a page


def write_strip(
    folder: Path, student: Path, content: str, decode: Decode, frames_per_second: float
) -> ShownStrip | None:
    """Decodes what a student kept on the way into mp4s in `folder`.

    Args:
        content: identity of the student that was sampled; another one that lies there now is left alone.

    Returns:
        What was written; None if it kept nothing or is not there.
    """
    if not (student / MANIFEST).is_file() or documents.identify(student).content != content:
        return None
    strip = load_strip(student)
    if strip is None:
        return None
    words = {row.id: row.text for row in load_rows(PROMPTS / PROMPT_ROWS, Prompt)}
    rows = []
    for number, prompt in enumerate(strip.prompts):
        frames = np.concatenate([decode(ends[number : number + 1]) for ends in strip.ends.values()])
        rows.append(StripRow(file=f"strip-{number}.mp4", prompt=words[prompt]))
        write_mp4(folder / rows[-1].file, side_by_side(frames), frames_per_second)
    return ShownStrip(columns=list(strip.ends), rows=rows)


def side_by_side(clips: np.ndarray) -> np.ndarray:
    """Clips [N, F, H, W, 3] as one [F, h, N w, 3], each so much smaller that no side is above MOST_PX; h and w even."""
    every = -(-max(clips.shape[2:4]) // MOST_PX)
    height, width = (side // every // 2 * 2 for side in clips.shape[2:4])
    cut = clips[:, :, : height * every, : width * every]
    blocks = cut.reshape(*clips.shape[:2], height, every, width, every, 3)
    small = np.rint(blocks.mean((3, 5))).astype(np.uint8)
    number, frames = clips.shape[:2]
    return small.transpose(1, 2, 0, 3, 4).reshape(frames, height, number * width, 3)
