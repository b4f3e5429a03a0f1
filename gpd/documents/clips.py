"""The JSON beside a clip that `gpd generate` wrote."""

from typing import Literal

from gpd.documents.document import Document


class MadeClip(Document):
    """How a clip was made: all that makes the same clip again.

    Attributes:
        subject: a stage's name, or teacher-STEPS.
        checkpoint: its content hash.
        seed: of the noise.
        forwards: network evaluations.
        negative_prompt: null without guidance, which uses none.
        height, width: px.
    """

    format: Literal[1] = 1
    subject: str
    checkpoint: str
    prompt: str
    seed: int
    steps: int
    forwards: int
    solver: str
    guidance_scale: float
    negative_prompt: str | None
    shift: float
    num_frames: int
    height: int
    width: int
    frames_per_second: float
