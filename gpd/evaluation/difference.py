"""Difference maps: where and how far a clip's pixels are from the reference's, on one fixed scale."""

import cv2
import numpy as np

FULL_LEVELS = 64  # of 255: what is shown as the brightest colour, whatever the clip


def difference_map(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Mean over channels of |frames - reference| as colours, uint8 RGB [F, H, W, 3]: black is equal.

    Args:
        frames, reference: uint8 [F, H, W, 3].
    """
    levels = np.abs(frames.astype(np.int16) - reference.astype(np.int16)).mean(-1)
    shares = np.clip(levels / FULL_LEVELS, 0, 1)
    return _palette()[np.rint(255 * shares).astype(np.uint8)]


def scale_colours(number: int) -> list[str]:
    """Colours of the scale from equal to FULL_LEVELS, evenly spaced, as CSS writes them."""
    places = np.rint(np.linspace(0, 255, number)).astype(int)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in _palette()[places].tolist()]


def _palette() -> np.ndarray:
    """Inferno, [256, 3] RGB: its lightness rises evenly, and colour-blind eyes read it too."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    palette: np.ndarray = cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    return palette
