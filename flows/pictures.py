"""Pictures of a run as data URIs, which a page shows without fetching anything: curves, and frames of a clip."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from flows.outputs import written
from gpd.artifacts import MANIFEST
from gpd.data.clips import load_clip
from gpd.documents import ClipsFacts, ShownClip, load_manifest
from gpd.documents.inside import path_inside

FRAMES_SHOWN = 5
FRAME_HEIGHT_PX = 96


def curves_picture(folder: Path) -> str:
    """The error along the trajectory of every subject, as SVG; empty if nothing was measured."""
    rows: list[dict[str, Any]] = []
    for path in written(folder, "curves.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows.extend(csv.DictReader(file))
    if not rows:
        return ""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(json.dumps(curves_chart(rows)))
    return data_uri("image/svg+xml", svg.encode())


def curves_chart(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The chart's description in Vega-Lite."""
    return {
        "width": 640,
        "height": 360,
        "background": "white",
        "data": {"values": rows},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "sigma", "type": "quantitative", "title": "noise level", "sort": "descending"},
            "y": {"field": "trajectory_error", "type": "quantitative", "title": "trajectory error"},
            "color": {"field": "subject", "type": "nominal", "title": None},
        },
    }


def frames_picture(folder: Path, params: dict[str, Any]) -> tuple[str, str]:
    """One prompt by every subject, a row each, as PNG; and in words what the rows are. Empty if there is no clip."""
    clips = shown_clips(folder)
    if not clips:
        return "", ""
    import cv2

    rows = [strip(path, params) for path, _ in clips.values()]
    is_written, png = cv2.imencode(".png", cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    if not is_written:
        return "", ""
    prompt = next(iter(clips.values()))[1]
    return data_uri("image/png", png.tobytes()), f"{prompt}: {', '.join(clips)}, from the top"


def shown_clips(folder: Path) -> dict[str, tuple[Path, str]]:
    """Subject -> clip and prompt, of the first prompt and seed that all kept clips have in common."""
    kept: dict[str, dict[tuple[str, int], Path]] = {}
    for place in (path.parent for path in written(folder, MANIFEST)):
        for clip in _clips_in(place):
            kept.setdefault(clip.subject, {})[clip.prompt, clip.seed] = path_inside(place, clip.file)
    common = set.intersection(*map(set, kept.values())) if kept else set()
    return {subject: (clips[min(common)], min(common)[0]) for subject, clips in kept.items()} if common else {}


def _clips_in(place: Path) -> list[ShownClip]:
    """The clips of an artefact, if it is one of clips."""
    facts = load_manifest(place).facts
    return facts.clips if isinstance(facts, ClipsFacts) else []


def strip(path: Path, params: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Frames of a clip, evenly over its time, beside each other."""
    import cv2

    model = params["model"]
    rate = params["encode"]["frames_per_second"] * FRAMES_SHOWN / model["num_frames"]
    height = min(FRAME_HEIGHT_PX, model["height"])
    width = round(model["width"] * height / model["height"])
    size = {"height": model["height"], "width": model["width"]}
    frames = load_clip(path, frames_per_second=rate, num_frames=FRAMES_SHOWN, **size)
    return np.concatenate(
        [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames], axis=1
    )


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
