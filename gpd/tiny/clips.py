"""Procedural clips with captions: the world that the miniature Wan is trained on.

A clip shows one coloured shape that moves over a grey background. Everything is drawn so that a small
VAE can learn it: background patterns are 8 px wide and lie on the VAE's 8 px grid, edges are soft, and
nothing moves more than 1.3 px a frame.
"""

import itertools
from dataclasses import dataclass

import numpy as np

COLOURS = {
    "red": (0.88, 0.16, 0.14),
    "green": (0.16, 0.74, 0.22),
    "blue": (0.14, 0.26, 0.92),
    "yellow": (0.92, 0.86, 0.16),
    "purple": (0.68, 0.18, 0.80),
    "white": (0.95, 0.95, 0.95),
}
SHAPES = ("circle", "square", "triangle", "cross")
DIRECTIONS = {"left": (0.0, -1.0), "right": (0.0, 1.0), "up": (-1.0, 0.0), "down": (1.0, 0.0)}
SPEEDS = {"slowly": 0.6, "quickly": 1.25}  # px a frame
BACKGROUNDS = ("plain", "striped", "checkered")

CELL_PX = 8  # width of a stripe or check: the VAE's spatial compression
EDGE_PX = 1.5  # half width of a shape's soft edge
RADIUS_PX = 13.0


@dataclass(frozen=True)
class Scene:
    """The content of a caption."""

    colour: str
    shape: str
    direction: str
    speed: str
    background: str

    @property
    def caption(self) -> str:
        """The sentence."""
        return f"a {self.colour} {self.shape} moves {self.direction} {self.speed} over a {self.background} background"


def all_scenes() -> list[Scene]:
    """Every scene that a caption can name: 6 x 4 x 4 x 2 x 3 = 576, in a fixed order."""
    return [Scene(*words) for words in itertools.product(COLOURS, SHAPES, DIRECTIONS, SPEEDS, BACKGROUNDS)]


def split_scenes(num_held_out: int = 256, seed: int = 0) -> tuple[list[Scene], list[Scene]]:
    """Training scenes and held-out scenes: no caption is in both."""
    scenes = all_scenes()
    order = np.random.default_rng(seed).permutation(len(scenes))
    held_out = {int(i) for i in order[:num_held_out]}
    return (
        [scene for i, scene in enumerate(scenes) if i not in held_out],
        [scenes[i] for i in sorted(held_out)],
    )


def scene_from_caption(caption: str) -> Scene:
    """The scene that `caption` names.

    Raises:
        ValueError: the caption is not of this grammar.
    """
    words = caption.split()
    if len(words) == 10 and [words[i] for i in (0, 3, 6, 7, 9)] == ["a", "moves", "over", "a", "background"]:
        scene = Scene(words[1], words[2], words[4], words[5], words[8])
        if _is_known(scene):
            return scene
    raise ValueError(f"not a caption of the miniature's grammar: {caption!r}")


def _is_known(scene: Scene) -> bool:
    return (
        scene.colour in COLOURS
        and scene.shape in SHAPES
        and scene.direction in DIRECTIONS
        and scene.speed in SPEEDS
        and scene.background in BACKGROUNDS
    )


def background_levels(background: str, height: int, width: int, dark: float, light: float) -> np.ndarray:
    """Grey levels [H, W] of a background; stripes are vertical."""
    row = np.arange(height)[:, None] // CELL_PX
    column = np.arange(width)[None, :] // CELL_PX
    parity = {"plain": 0 * (row + column), "striped": 0 * row + column, "checkered": row + column}[background] % 2
    return np.where(parity == 1, light, dark).astype(np.float32)


def signed_distance(shape: str, y: np.ndarray, x: np.ndarray, radius: float) -> np.ndarray:
    """Distance in px to the outline of `shape` round the origin, negative inside. y grows downwards."""
    if shape == "circle":
        return np.hypot(y, x) - radius
    if shape == "square":
        return np.maximum(abs(y), abs(x)) - 0.88 * radius
    if shape == "triangle":
        # Upright; its three edges are half planes at an equal distance from the centroid.
        side = 0.8660254 * abs(x) - 0.5 * y
        return np.maximum(side, y) - 0.62 * radius
    bar, arm = 0.36 * radius, 1.05 * radius
    upright = np.maximum(abs(x) - bar, abs(y) - arm)
    flat = np.maximum(abs(y) - bar, abs(x) - arm)
    return np.minimum(upright, flat)


def coverage(shape: str, y: np.ndarray, x: np.ndarray, radius: float = RADIUS_PX) -> np.ndarray:
    """Share of the shape's colour at each point, in [0, 1], with a soft edge."""
    return np.clip(0.5 - signed_distance(shape, y, x, radius) / (2 * EDGE_PX), 0.0, 1.0)


def draw(scene: Scene, seed: int, *, num_frames: int = 17, height: int = 64, width: int = 64) -> np.ndarray:
    """The clip of a scene; `seed` settles place, greys and size.

    Returns:
        Frames [F, H, W, 3], uint8.
    """
    rng = np.random.default_rng([seed, 0x71E1])
    dark = rng.uniform(0.12, 0.24)
    light = dark + rng.uniform(0.22, 0.30)
    radius = RADIUS_PX * rng.uniform(0.92, 1.08)
    middle = np.array([height, width]) / 2 + rng.uniform(-5.0, 5.0, 2)
    move = SPEEDS[scene.speed] * np.array(DIRECTIONS[scene.direction])

    ground = background_levels(scene.background, height, width, dark, light)[..., None]
    colour = np.array(COLOURS[scene.colour], np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    frames = []
    for frame in range(num_frames):
        centre = middle + (frame - (num_frames - 1) / 2) * move
        share = coverage(scene.shape, y - centre[0], x - centre[1], radius)[..., None]
        frames.append(ground + share * (colour - ground))
    return np.round(np.stack(frames) * 255).astype(np.uint8)
