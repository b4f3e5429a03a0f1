"""`gpd tiny clips`: draws procedural clips with captions, as a folder that `prepare` takes."""

import json
from pathlib import Path

import numpy as np

from gpd import artifacts
from gpd.artifacts import UserError
from gpd.data.clips import write_mp4
from gpd.progress import progress_bar
from gpd.tiny.clips import Scene, draw, split_scenes

FRAMES_PER_SECOND = 16  # Wan's
FIRST_SEED = {False: 100_000, True: 200_000}  # by held_out; the miniature's own training draws from 0 upwards
ORDER_SEED = 1


def run(out: Path, num: int, held_out: bool) -> None:
    """Writes `num` clips as mp4 and captions.jsonl into a new folder.

    Raises:
        UserError: `num` is not positive or `out` exists.
    """
    if num < 1:
        raise UserError(f"num={num}: expected at least 1")
    if out.exists():
        raise UserError(f"{out}: exists; name a folder that does not")
    scenes = shuffled_scenes(held_out)
    with artifacts.replacing(out) as folder, progress_bar("draw", num) as advance:
        rows = []
        for index in range(num):
            scene, name = scenes[index % len(scenes)], f"{index:04d}.mp4"
            write_mp4(folder / name, draw(scene, FIRST_SEED[held_out] + index), FRAMES_PER_SECOND)
            rows.append({"file": name, "caption": scene.caption})
            advance(index + 1, "")
        artifacts.write_text(folder / "captions.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"tiny clips: {num} clips, {size / 1e6:.2f} MB -> {out}/")


def shuffled_scenes(held_out: bool) -> list[Scene]:
    """Training or held-out scenes in a fixed order whose first n are a fair sample."""
    scenes = split_scenes()[held_out]
    return [scenes[index] for index in np.random.default_rng(ORDER_SEED).permutation(len(scenes))]
