"""Clips on which our flicker metric and VBench's temporal_flickering are compared.

`python -m tests.vbench.flicker_clips` writes the clips, runs the published package on them and stores what it says in
flicker_scores.json: the test compares with that where the package is not at hand.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from gpd.data.clips import write_mp4
from gpd.tiny.clips import all_scenes, draw
from gpd.vbench import environment
from gpd.vbench.suite import clip_file

SCORES = Path(__file__).with_name("flicker_scores.json")
PROMPTS = ["In a still frame, a red circle", "a pond of noise, frozen in time"]
SUITE = [{"prompt_en": prompt, "dimension": ["temporal_flickering"]} for prompt in PROMPTS]
ENVIRONMENT = Path(__file__).parents[2] / ".work" / "vbench" / "env"


def make_clips(folder: Path) -> None:
    """Five procedural clips, and five of noise that grows from one to the next; the last of each in BT.601."""
    for video, scene in enumerate(all_scenes()[:250:50]):
        write_mp4(folder / clip_file(PROMPTS[0], video), draw(scene, video), 16.0, is_bt601=video == 4)
        noise = np.random.default_rng(video).normal(128, 4 * 2**video, (9, 48, 64, 3)).clip(0, 255).astype(np.uint8)
        write_mp4(folder / clip_file(PROMPTS[1], video), noise, 8.0, is_bt601=video == 4)


def ask_vbench(folder: Path, python: Path) -> dict[str, float]:
    """What the package scores each clip of `folder`, by file name, and "mean", the dimension's score."""
    work = folder.parent / "work"
    work.mkdir(parents=True)
    (work / "full_info.json").write_text(json.dumps(SUITE))
    request = {
        "dimensions": ["temporal_flickering"],
        "full_info": str(work / "full_info.json"),
        "videos": str(folder),
        "output": str(work / "output"),
        "device": "cpu",
        "static_filter": None,
    }
    found = environment.ask(python, request, work, work / "cache")["dimensions"]["temporal_flickering"]
    return {**found["clips"], "mean": found["score"]}


def main() -> None:
    """Stores VBench's scores with the command that made them."""
    with tempfile.TemporaryDirectory() as name:
        make_clips(Path(name) / "videos")
        python = environment.open_environment(ENVIRONMENT, ["temporal_flickering"], False)
        scores = ask_vbench(Path(name) / "videos", python)
    stored = {"command": "python -m tests.vbench.flicker_clips", "vbench": "0.1.5", "scores": scores}
    SCORES.write_text(json.dumps(stored, indent=2) + "\n")
    print(json.dumps(stored, indent=2), file=sys.stderr)


if __name__ == "__main__":
    main()
