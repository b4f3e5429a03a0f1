"""Runs the published `vbench` package. A script for the environment that has it: it imports nothing of gpd.

    python runner.py request.json answer.json

request  {"dimensions": [..], "full_info": path, "videos": folder, "output": folder, "device": "cpu" or "cuda",
          "static_filter": null or a folder for the clips that VBench's filter keeps}
answer   {"vbench": version, "dimensions": {name: {"score": .., "clips": {file name: ..}}},
          "static": {prompt: number kept} or null, "has_torchvision_operators": bool}
"""

import argparse
import json
import os
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

FLICKER = "temporal_flickering"


def import_torchvision() -> bool:
    """Imports torchvision; without its compiled operators if they do not fit torch's build. Were they loaded?

    The wheel for CUDA beside torch for the CPU loads none, and then fails at registering their shapes. The transforms,
    all that most dimensions use, need none of them.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
        import torchvision  # noqa: F401

        return False
    return True


def filter_static(videos: str, output: str, device: str) -> dict[str, int]:
    """VBench's static filter over the temporal_flickering prompts: prompt -> number of clips kept, at most 5."""
    from vbench.cli import static_filter

    parser = argparse.ArgumentParser()
    static_filter.register_subparsers(parser.add_subparsers())
    args = parser.parse_args(["static_filter", "--videos_path", videos, "--result_path", output])
    static_filter.DEVICE = device
    static_filter.static_filter(args)
    kept = json.loads((Path(output) / args.store_name).read_text(encoding="utf-8"))
    return {prompt: found["static_count"] for prompt, found in kept.items() if prompt_has_clips(prompt, videos)}


def prompt_has_clips(prompt: str, videos: str) -> bool:
    """The filter also lists the prompts of which there are none here."""
    return (Path(videos) / f"{prompt}-0.mp4").is_file()


def measure(request: dict[str, Any], dimension: str, videos: str) -> dict[str, Any]:
    """One dimension's score and what it gave each clip."""
    from vbench import VBench

    bench = VBench(request["device"], request["full_info"], request["output"])
    bench.evaluate(videos_path=videos, name=dimension, dimension_list=[dimension], local=True, mode="vbench_standard")
    path = Path(request["output"]) / f"{dimension}_eval_results.json"
    score, clips = json.loads(path.read_text(encoding="utf-8"))[dimension]
    return {"score": score, "clips": {Path(clip["video_path"]).name: clip["video_results"] for clip in clips}}


def main() -> None:
    """See above."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    has_operators = import_torchvision()
    videos, static = dict.fromkeys(request["dimensions"], request["videos"]), None
    if request["static_filter"] and FLICKER in videos:
        static = filter_static(request["videos"], request["static_filter"], request["device"])
        videos[FLICKER] = str(Path(request["static_filter"]) / "filtered_videos")
    answer = {
        "vbench": version("vbench"),
        "dimensions": {name: measure(request, name, folder) for name, folder in videos.items()},
        "static": static,
        "has_torchvision_operators": has_operators,
    }
    partial = Path(sys.argv[2] + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(answer, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, sys.argv[2])


if __name__ == "__main__":
    main()
