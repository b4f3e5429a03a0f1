"""Reads a clip of the miniature's world back from its pixels and compares it with its caption.

Nothing is learned: the shape is what is coloured or bright on a grey ground, its colour the nearest of the palette
by vote, its motion the drift of its centroid, its outline the best fitting template of the same area, and the
background the pattern of the grey cells round it.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from gpd.tiny.clips import (
    BACKGROUNDS,
    COLOURS,
    DIRECTIONS,
    SHAPES,
    SPEEDS,
    background_levels,
    coverage,
    scene_from_caption,
)

MIN_CHROMA = 0.18  # grounds are grey: more than this between the largest and smallest channel is the shape
MIN_WHITE = 0.68  # brighter than any ground, which ends at 0.54
MIN_CONTRAST = 0.1  # between the cells of a pattern; drawn ones have 0.22 and more
MIN_SHAPE_PX = 60  # a drawn cross, the smallest shape, covers about 270
MIN_MOVE_PX = 0.15  # a frame: slower than this is standing still
MARGIN_PX = 4  # round the shape, where its soft edge tints the ground
FRAME_STRIDE = 2  # every second frame is enough, at half the time
PROPERTIES = ("colour", "shape", "direction", "speed", "background")


@dataclass(frozen=True)
class Reading:
    """What the pixels show; None if they show nothing of the kind."""

    colour: str | None
    shape: str | None
    direction: str | None
    speed: str | None
    background: str | None


def read_scene(frames: np.ndarray) -> Reading:
    """Reads one clip, uint8 frames [F, H, W, 3]."""
    pixels = np.stack([cv2.GaussianBlur(frame, (3, 3), 0) for frame in frames[::FRAME_STRIDE]])
    pixels = pixels.astype(np.float32) / 255.0
    mask = _shape_mask(pixels)
    seen = mask.sum((1, 2)) >= MIN_SHAPE_PX
    if seen.sum() < 2:
        return Reading(None, None, None, None, _read_background(pixels, mask))
    colour = _read_colour(pixels[mask])
    background = _read_background(pixels, mask)
    shares = _colour_shares(pixels, mask, colour, background)
    centroids = _centroids(shares[seen])
    direction, speed = _read_motion(centroids, FRAME_STRIDE * np.flatnonzero(seen))
    return Reading(colour, _read_shape(shares[seen][::2], centroids[::2]), direction, speed, background)


def agreement(frames: np.ndarray, captions: list[str]) -> dict[str, np.ndarray]:
    """Whether clips show what their captions say.

    Args:
        frames: uint8 [N, F, H, W, 3].
        captions: N captions of the miniature's grammar.

    Returns:
        For each of colour, shape, direction, speed and background: 1.0 or 0.0 for each clip, [N].

    Raises:
        ValueError: a caption is not of the grammar.
    """
    pairs = [(read_scene(clip), scene_from_caption(text)) for clip, text in zip(frames, captions, strict=True)]
    return {
        name: np.array([float(getattr(reading, name) == getattr(scene, name)) for reading, scene in pairs])
        for name in PROPERTIES
    }


def is_readable(captions: list[str]) -> bool:
    """Whether every caption is of the grammar that `agreement` can judge."""
    try:
        return bool([scene_from_caption(caption) for caption in captions])
    except ValueError:
        return False


def _shape_mask(pixels: np.ndarray) -> np.ndarray:
    """Largest connected coloured or white region of each frame, [F, H, W] bool."""
    low, high = pixels.min(-1), pixels.max(-1)
    return np.stack([_largest_region(frame) for frame in (high - low > MIN_CHROMA) | (low > MIN_WHITE)])


def _largest_region(mask: np.ndarray) -> np.ndarray:
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    region: np.ndarray = labels == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax()
    return region


def _read_colour(pixels: np.ndarray) -> str:
    """The palette's colour that most of the pixels [K, 3] are nearest to."""
    palette = np.array(list(COLOURS.values()), np.float32)
    nearest = np.square(pixels[:, None] - palette).sum(-1).argmin(1)
    return list(COLOURS)[int(np.bincount(nearest).argmax())]


def _read_background(pixels: np.ndarray, mask: np.ndarray) -> str:
    """By the contrast between the cells of each pattern, over ground that the shape does not tint."""
    kernel = np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8)
    ground = np.stack([cv2.dilate(frame.astype(np.uint8), kernel) == 0 for frame in mask])
    grey = pixels.mean(-1)
    contrasts = {name: _contrast(name, grey, ground) for name in BACKGROUNDS if name != "plain"}
    strongest = max(contrasts, key=lambda name: contrasts[name])
    return strongest if contrasts[strongest] > MIN_CONTRAST else "plain"


def _contrast(background: str, grey: np.ndarray, ground: np.ndarray) -> float:
    odd = _odd_cells(background, grey.shape[1:])
    light, dark = grey[:, odd][ground[:, odd]], grey[:, ~odd][ground[:, ~odd]]
    return abs(float(light.mean() - dark.mean())) if light.size and dark.size else 0.0


def _odd_cells(background: str, size: tuple[int, ...]) -> np.ndarray:
    return background_levels(background, size[0], size[1], 0.0, 1.0) > 0.5


def _colour_shares(pixels: np.ndarray, mask: np.ndarray, colour: str, background: str) -> np.ndarray:
    """How much of the shape's colour each pixel has, [F, H, W] in 0..1: its place between ground and shape."""
    odd = _odd_cells(background, mask.shape[1:])
    near = np.stack([cv2.dilate(frame.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for frame in mask])
    grounds = [pixels[:, cells][~near[:, cells]] for cells in (odd, ~odd)]
    fallback = pixels[~near].mean(0)
    levels = [cells.mean(0) if cells.size else fallback for cells in grounds]
    ground = np.where(odd[..., None], *levels)
    reach = np.median(pixels[mask], 0) - ground
    share = ((pixels - ground) * reach).sum(-1) / np.square(reach).sum(-1)
    return np.where(near, np.clip(share, 0.0, 1.0), 0.0)


def _centroids(shares: np.ndarray) -> np.ndarray:
    """Centre of mass [F, 2] (y, x) in px; a pixel's centre lies at half a pixel."""
    _, height, width = shares.shape
    mass = shares.sum((1, 2))
    y = (shares.sum(2) * (np.arange(height) + 0.5)).sum(1) / mass
    x = (shares.sum(1) * (np.arange(width) + 0.5)).sum(1) / mass
    return np.stack([y, x], 1)


def _read_motion(centroids: np.ndarray, times: np.ndarray) -> tuple[str | None, str | None]:
    """Direction and speed of the straight line through the centroids."""
    move = np.polyfit(times, centroids, 1)[0]
    length = float(np.hypot(*move))
    if length < MIN_MOVE_PX:
        return None, None
    direction = max(DIRECTIONS, key=lambda name: float(np.dot(DIRECTIONS[name], move)))
    return direction, min(SPEEDS, key=lambda name: abs(SPEEDS[name] - length))


def _read_shape(shares: np.ndarray, centroids: np.ndarray) -> str:
    """The template of the same area that overlaps best, over all frames."""
    overlaps = {shape: _overlap(shape, shares, centroids) for shape in SHAPES}
    return max(overlaps, key=lambda shape: overlaps[shape])


def _overlap(shape: str, shares: np.ndarray, centroids: np.ndarray) -> float:
    """Intersection over union of the shares with the template, summed over the frames."""
    _, height, width = shares.shape
    radius = np.sqrt(shares.sum((1, 2)).mean() / _unit_area(shape))
    y = np.arange(height)[:, None] + 0.5 - centroids[:, 0, None, None]
    x = np.arange(width)[None, :] + 0.5 - centroids[:, 1, None, None]
    template = coverage(shape, y, x, radius)
    return float(np.minimum(template, shares).sum() / np.maximum(template, shares).sum())


@cache
def _unit_area(shape: str) -> float:
    """Area of a shape over its radius squared, by counting at a size where the soft edge does not matter."""
    y, x = np.mgrid[-200:200, -200:200] + 0.5
    return float(coverage(shape, y, x, 150.0).sum()) / 150.0**2
