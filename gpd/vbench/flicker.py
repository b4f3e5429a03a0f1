"""Our flicker metric on the pixels that VBench sees."""

from pathlib import Path

from gpd.data.clips import load_whole_clip
from gpd.evaluation.metrics.flicker import flicker


def flicker_as_vbench(path: Path) -> float:
    """VBench's temporal_flickering of an mp4, 0..1, 1 is a still picture.

    The formula is that of `flicker`; only the pixels differ. VBench reads by OpenCV, which takes the colours of every
    clip as BT.601: on a clip tagged BT.709 with strong colour noise the score is .002 off what the clip shows.
    """
    return float(flicker(load_whole_clip(path, as_opencv=True).frames[None])[0])
